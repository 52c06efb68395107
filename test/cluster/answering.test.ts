import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { TlsStream, tlsContext } from '../../src/cluster/tls-stream.js';
import {
  ecdsaVerify,
  generateEcKeyPair,
  importPrivateKey,
  importPublicKey,
  importSecretKey,
  repeatableEcdsa,
  repeatableHmac,
} from '../../src/crypto/index.js';
import { framed } from '../../src/wire/frames.js';
import { until } from '../support/network.js';
import { TestAuthority } from '../support/tls.js';

const CALL = 1;
const NOTHING = Buffer.alloc(0);
const VALUE = Buffer.alloc(32, 3);
const WORDS = Buffer.from('authenticate');
const READ = Buffer.from('what is known');

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const request = (id: number, words: Buffer, data?: Buffer): Buffer =>
  framed(
    Buffer.concat([
      Buffer.from([CALL]),
      u32(id),
      words,
      ...(data === undefined ? [] : [u32(data.length), data]),
    ]),
  );
/** What is answered to an operation, and to what is known. */
const answered = (id: number, output: Buffer): Buffer =>
  framed(Buffer.concat([Buffer.from([CALL]), u32(id), Buffer.from('done'), u32(output.length), output]));
const known = (id: number): Buffer =>
  framed(Buffer.concat([Buffer.from([CALL]), u32(id), Buffer.from('known')]));
const macOf = (data: Buffer): Buffer => createHmac('sha256', VALUE).update(data).digest();

/** The peer is node:tls, and writes what it likes. */
describe('a connection that answers frames by itself', () => {
  let server: Server;
  let stream: TlsStream;
  let peer: TLSSocket;
  /** What JavaScript was given, and what the peer was. */
  let given: Buffer;
  let heard: Buffer;
  let uses: Float64Array;
  let changes: Float64Array;
  let reads: Float64Array;
  let end: () => void;
  /** A repeated operation ends with its key, and a key with the last who holds it. */
  const hmacKey = importSecretKey(VALUE);

  beforeEach(async () => {
    const authority = await TestAuthority.make();
    const [hsm, client] = [await authority.identity('hsm'), await authority.identity('client')];
    given = heard = NOTHING;
    let opened: () => void;
    const whenOpen = new Promise<void>((resolve) => {
      opened = resolve;
    });
    server = createServer({ pauseOnConnect: true }, (socket) => {
      stream = new TlsStream(tlsContext('server', hsm), socket, {
        opened: () => opened(),
        received: (chunk) => {
          given = Buffer.concat([given, chunk]);
        },
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    peer = connect({
      ...{ host: '127.0.0.1', port: (server.address() as { port: number }).port },
      ...{ cert: client.certificate, key: client.privateKey, ca: client.trustAnchor },
      checkServerIdentity: () => undefined,
    });
    peer.on('error', () => undefined);
    peer.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
    });
    await whenOpen;
    uses = new Float64Array(2);
    changes = new Float64Array(3);
    reads = new Float64Array(1);
    end = stream.answerOperation({
      words: WORDS,
      answer: answered(0, NOTHING),
      work: repeatableHmac('sha256', hmacKey, 'sign'),
      longestInputBytes: 1000,
      uses,
    });
    stream.keepAnswer({ words: READ, answer: known(0), changes, changesAt: 2, uses: reads });
  });
  afterEach(() => {
    stream.destroy();
    peer.destroy();
    server.close();
  });

  const untilHeard = async (...answers: Buffer[]): Promise<void> => {
    const wanted = Buffer.concat(answers);
    await until(() => heard.length >= wanted.length);
    expect(heard.toString('hex')).to.equal(wanted.toString('hex'));
    heard = NOTHING;
  };
  const untilGiven = async (...frames: Buffer[]): Promise<void> => {
    const wanted = Buffer.concat(frames);
    await until(() => given.length >= wanted.length);
    expect(given.toString('hex')).to.equal(wanted.toString('hex'));
    given = NOTHING;
  };

  it('answers each with its id, and counts it', async () => {
    const data = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(1000, 'b')];
    peer.write(
      Buffer.concat([...data.map((one, id) => request(id + 7, WORDS, one)), request(0xffffffff, READ)]),
    );
    await untilHeard(...data.map((one, id) => answered(id + 7, macOf(one))), known(0xffffffff));
    expect([...uses, ...reads]).to.deep.equal([0, 3, 1]);
    expect(given).to.have.length(0);
  });

  it('hands over everything else as it came, in its order', async () => {
    const strange = [
      request(1, WORDS),
      request(2, WORDS, Buffer.alloc(1001)),
      request(3, Buffer.from('authenticata'), Buffer.from('a')),
      request(4, Buffer.concat([READ, READ])),
      request(5, READ.subarray(1)),
      framed(Buffer.concat([Buffer.from([2]), u32(6), READ])),
      framed(Buffer.concat([Buffer.from([CALL]), u32(7), WORDS, u32(2), Buffer.from('a')])),
      framed(Buffer.concat([Buffer.from([CALL]), u32(8), WORDS, u32(0xffffffff)])),
      framed(Buffer.alloc(0)),
      framed(Buffer.from([CALL])),
    ];
    peer.write(Buffer.concat(strange.flatMap((frame, id) => [frame, request(id, READ)])));
    await untilHeard(...strange.map((_, id) => known(id)));
    await untilGiven(...strange);
    expect(uses[1]).to.equal(0);
  });

  it('hands over what comes in pieces, and answers what follows', async () => {
    const frame = request(9, WORDS, Buffer.from('in pieces'));
    for (const cut of [1, 3, 4, 5, 20, frame.length - 1]) {
      peer.write(frame.subarray(0, cut));
      await until(() => given.length === cut);
      peer.write(Buffer.concat([frame.subarray(cut), request(cut, READ)]));
      await untilHeard(known(cut));
      await untilGiven(frame);
    }
  });

  it('hands over a frame that claims more than there is, and nothing behind its header is a frame', async () => {
    const endless = Buffer.concat([u32(0xffff_fff0), request(1, READ), request(2, WORDS, Buffer.from('a'))]);
    peer.write(endless);
    await untilGiven(endless);
    expect(heard).to.have.length(0);
  });

  it('gives no answer that no longer holds, and none that was ended', async () => {
    changes[1]!++;
    peer.write(request(1, READ));
    await untilHeard(known(1));
    changes[2]!++;
    peer.write(request(2, READ));
    await untilGiven(request(2, READ));
    end();
    end();
    peer.write(request(3, WORDS, Buffer.from('a')));
    await untilGiven(request(3, WORDS, Buffer.from('a')));
    expect([...uses, ...reads]).to.deep.equal([0, 0, 1]);
  });

  it('verifies what comes with a signature, and hands over what is not right', async () => {
    const words = Buffer.from('verify');
    const valid = Buffer.from('right');
    const answer = (id: number): Buffer => framed(Buffer.concat([Buffer.from([CALL]), u32(id), valid]));
    const work = repeatableHmac('sha256', hmacKey, 'verify');
    stream.answerOperation({ words, answer: answer(0), work, longestInputBytes: 1000, uses });
    const data = Buffer.from('a');
    const mac = macOf(data);
    const behind = (signature: Buffer): Buffer => Buffer.concat([u32(signature.length), signature]);
    const verification = (id: number, input: Buffer, rest: Buffer): Buffer =>
      framed(Buffer.concat([Buffer.from([CALL]), u32(id), words, u32(input.length), input, rest]));
    const right = [data, NOTHING, Buffer.alloc(1000, 'b')].map((input, id) =>
      verification(id, input, behind(macOf(input))),
    );
    peer.write(Buffer.concat(right));
    await untilHeard(...right.map((_, id) => answer(id)));
    expect(given).to.have.length(0);
    const changed = Buffer.from(mac);
    changed[31]! ^= 1;
    const wrong = [
      verification(1, data, behind(changed)),
      verification(2, Buffer.from('b'), behind(mac)),
      verification(3, data, behind(mac.subarray(0, 31))),
      verification(4, data, behind(Buffer.concat([mac, Buffer.alloc(1)]))),
      verification(5, data, behind(NOTHING)),
      verification(6, data, NOTHING),
      verification(7, data, u32(32).subarray(0, 3)),
      verification(8, data, Buffer.concat([u32(0xffff_ffff), mac])),
      verification(9, data, Buffer.concat([u32(33), mac])),
      verification(10, data, Buffer.concat([behind(mac), Buffer.alloc(1)])),
      verification(11, Buffer.alloc(1001), behind(macOf(Buffer.alloc(1001)))),
      framed(Buffer.concat([Buffer.from([CALL]), u32(12), words, u32(0xffff_fff0), data, behind(mac)])),
      framed(Buffer.concat([Buffer.from([CALL]), u32(13), words])),
    ];
    peer.write(Buffer.concat(wrong.flatMap((frame, id) => [frame, request(id, READ)])));
    await untilHeard(...wrong.map((_, id) => known(id)));
    await untilGiven(...wrong);
    expect(uses[1]).to.equal(3);
  });

  it('leaves everything to JavaScript that is paused, until it goes on', async () => {
    stream.events = {
      received: (chunk) => {
        given = Buffer.concat([given, chunk]);
        stream.pause();
      },
    };
    const first = request(1, Buffer.from('something else'));
    peer.write(Buffer.concat([first, request(2, READ)]));
    await untilGiven(first, request(2, READ));
    stream.resume();
    peer.write(request(3, READ));
    await untilHeard(known(3));
  });

  it('runs what takes long for who is alone, and leaves it to other threads where several ask', async () => {
    const { pkcs8, spki } = await generateEcKeyPair('P-384');
    const words = Buffer.from('sign');
    const key = importPrivateKey(pkcs8);
    const work = repeatableEcdsa(key, 48, 'sign');
    stream.answerOperation({ words, answer: answered(0, NOTHING), work, longestInputBytes: 1000, uses });
    const data = Buffer.alloc(48, 9);
    const head = answered(1, NOTHING).length;
    // Others, of the tests before, may have come a moment ago.
    await until(async () => {
      heard = given = NOTHING;
      peer.write(request(1, words, data));
      await until(() => heard.length === head + 96 || given.length > 0);
      return heard.length > 0;
    });
    expect(await ecdsaVerify(importPublicKey(spki), data, heard.subarray(head))).to.equal(true);
    peer.write(Buffer.concat([request(2, words, data), request(3, words, data)]));
    await untilGiven(request(2, words, data), request(3, words, data));
    expect(uses[1]).to.equal(1);
    key.destroy();
  });
});
