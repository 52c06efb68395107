import { connect as connectTcp } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import { type HsmServer, serveHsm } from '../../src/cluster/hsm-server.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import { commandNames, forms, formsHash } from '../../src/hsm/commands/forms.js';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKC, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { Writer } from '../../src/wire/bytes.js';
import { framed } from '../../src/wire/frames.js';
import {
  type ClientSwitches,
  causeShape,
  frameKinds,
  leave,
  writeHsmHello,
} from '../../src/wire/hsm-frames.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
import { TestAuthority } from '../support/tls.js';

/** CLOUDHSM_LOCAL_FUZZ_CONNECTIONS lengthens it, CLOUDHSM_LOCAL_FUZZ_SEED repeats a run. */
const CONNECTIONS = Number(process.env['CLOUDHSM_LOCAL_FUZZ_CONNECTIONS'] ?? 300);
const SEED = Number(process.env['CLOUDHSM_LOCAL_FUZZ_SEED'] ?? 20_261_122);

const credentials = { name: 'crypto_user', password: PASSWORD, role: 'CU' } as const;
const facts = { version: 1, clusterId: 'cluster-in-memory', hsmType: 'hsm2m.medium', mode: 'FIPS' } as const;

function requestFrame(name: (typeof commandNames)[number], request: unknown, id = 1): Buffer {
  const writer = new Writer();
  writer.u8(frameKinds.call);
  writer.u32(id);
  writer.u16(commandNames.indexOf(name));
  causeShape.write(writer, undefined);
  (forms[name].request.write as (writer: Writer, request: unknown) => void)(writer, request);
  return Buffer.from(writer.finish());
}

describe('an HSM on the network', () => {
  let authority: TestAuthority;
  let stranger: TestAuthority;
  let hsm: Hsm;
  let server: HsmServer;
  let client: TlsIdentity;

  const member = () => ({ id: hsm.settings.id, ordinal: 1, eniIp: server?.eniIp ?? '', port: 0 });

  before(async () => {
    [authority, stranger] = await Promise.all([TestAuthority.make(), TestAuthority.make()]);
    [hsm] = (await memoryCluster({ hsms: 1 })).hsms as [Hsm];
    server = await serveHsm({
      hsm,
      identity: await authority.identity('hsm', hsm.settings.id),
      eniIp: '127.0.0.1',
      ports: [0],
      members: () => ({ ...facts, hsms: [member()] }),
      log: silentLog,
      timeouts: { handshakeMs: 2_000, helloMs: 150, frameMs: 150, idleMs: 150 },
      mostClients: 20,
      mostStrangers: 30,
    });
    client = await authority.identity('client');
  });

  after(() => server.close());

  const endpoint = () => ({ host: '127.0.0.1', port: server.ports[0]! });
  const open = (): Promise<HsmConnection> => connectToHsm({ endpoint: endpoint(), identity: client });
  const works = async (): Promise<void> => {
    const connection = await open();
    await connection.send('login', credentials);
    expect(await connection.send('generateRandom', { lengthBytes: 32 })).to.have.length(32);
    connection.close();
  };

  /** What a peer gets for what it sends before the connection ends. */
  async function heard(identity: Partial<TlsIdentity>, ...sent: Buffer[]): Promise<Buffer> {
    const { trustAnchor: ca, certificate: cert, privateKey: key } = identity;
    const socket: TLSSocket = connect({ ...endpoint(), ca, cert, key, checkServerIdentity: () => undefined });
    const parts: Buffer[] = [];
    await new Promise<void>((resolve) => {
      socket.on('data', (part: Buffer) => parts.push(part));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
      socket.on('secureConnect', () => {
        for (const part of sent) socket.write(part);
      });
    });
    return Buffer.concat(parts);
  }

  it('does for a client with a certificate what it does for one in its process', async () => {
    const connection = await open();
    await connection.send('login', credentials);
    const template = [
      attribute(CKA.CKA_VALUE_LEN, 32),
      attribute(CKA.CKA_ENCRYPT, true),
      attribute(CKA.CKA_LABEL, 'remote'),
    ];
    const { handle } = await connection.send('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template });
    const parameter = {
      layout: 'CK_GCM_PARAMS' as const,
      pIv: Buffer.alloc(12),
      ulIvBits: 96,
      pAAD: Buffer.from('aad'),
      ulTagBits: 128,
    };
    const mechanism = { type: CKM.CKM_AES_GCM, parameter };
    const input = Buffer.from('some text');
    expect(await connection.send('encrypt', { handle, mechanism, input })).to.have.length(25);
    const types = [CKA.CKA_LABEL, CKA.CKA_VALUE];
    expect(await connection.send('getAttributes', { handle, types })).to.deep.equal([
      Buffer.from('remote'),
      'sensitive',
    ]);
    expect(
      await connection.send('findObjects', { template: [attribute(CKA.CKA_LABEL, 'remote')] }),
    ).to.deep.equal([handle]);
    expect(await codeOf(() => connection.send('destroyObject', { handle: 99 }))).to.equal(
      'CKR_OBJECT_HANDLE_INVALID',
    );
    connection.close();
  });

  it('tells the client which deviations it allowed, under the name of the request', async () => {
    const told: [string, string][] = [];
    const connection = await connectToHsm({
      endpoint: endpoint(),
      identity: client,
      allowed: (deviation, cause) => told.push([deviation, cause]),
    });
    await connection.send('login', credentials);
    const template = [
      attribute(CKA.CKA_VALUE_LEN, 32),
      attribute(CKA.CKA_START_DATE, Buffer.from('20260101')),
    ];
    await connection.send('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template }, 'C_GenerateKey');
    expect(told).to.deep.equal([['descriptive-attribute', 'C_GenerateKey']]);
    connection.close();
  });

  it("goes by the client's switches", async () => {
    const certificate = [
      attribute(CKA.CKA_CLASS, CKO.CKO_CERTIFICATE),
      attribute(CKA.CKA_CERTIFICATE_TYPE, CKC.CKC_X_509),
      attribute(CKA.CKA_TOKEN, true),
      attribute(CKA.CKA_SUBJECT, Buffer.from('subject')),
      attribute(CKA.CKA_VALUE, Buffer.from('certificate')),
    ];
    const stored = async (switches?: ClientSwitches): Promise<string> => {
      const connection = await connectToHsm({
        endpoint: endpoint(),
        identity: client,
        ...(switches && { switches }),
      });
      await connection.send('login', credentials);
      const code = await codeOf(() => connection.send('createObject', { template: certificate }));
      connection.close();
      return code;
    };
    expect(await stored()).to.equal('CKR_OK');
    expect(await stored({ certificateStorage: true })).to.equal('CKR_OK');
    expect(await stored({ certificateStorage: false })).to.equal('CKR_TEMPLATE_INCONSISTENT');
  });

  it('ends the session keys of a client whose connection ends', async () => {
    const connection = await open();
    await connection.send('login', credentials);
    const before = hsm.counts.keys;
    const template = [attribute(CKA.CKA_VALUE_LEN, 32)];
    await connection.send('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template });
    expect(hsm.counts.keys).to.equal(before + 1);
    connection.close();
    await until(() => hsm.counts.keys === before);
  });

  describe('says nothing to a peer', () => {
    const asks = () => [
      framed(writeHsmHello(formsHash)),
      framed(requestFrame('generateRandom', { lengthBytes: 8 })),
    ];

    it('without a certificate', async () => {
      const { trustAnchor } = client;
      expect(await heard({ trustAnchor }, ...asks())).to.have.length(0);
    });

    it('with a certificate of another authority', async () => {
      const identity = await stranger.identity('client', 'client', authority);
      expect(await heard(identity, ...asks())).to.have.length(0);
    });

    it('with a certificate that has itself for an issuer', async () => {
      const lone = await TestAuthority.make(`customer CA`);
      const identity = await lone.identity('client', 'client', authority);
      expect(await heard(identity, ...asks())).to.have.length(0);
    });

    it('that begins no TLS, however many of them there are: clients get in', async () => {
      const silent = Array.from({ length: 60 }, () => connectTcp(endpoint()));
      for (const socket of silent) socket.on('error', () => undefined).resume();
      const ended = silent
        .slice(0, 30)
        .map((socket) => new Promise((resolve) => socket.on('close', resolve)));
      await works();
      await Promise.all(ended);
      for (const socket of silent) socket.destroy();
    });

    it('that begins no TLS, and does not wait for it', async () => {
      const silent = Array.from({ length: 20 }, () => connectTcp(endpoint()));
      const ended = silent.map((socket) => {
        socket.on('error', () => undefined).resume();
        return new Promise((resolve) => socket.on('close', resolve));
      });
      await Promise.all(ended);
      await works();
    });

    it('that speaks no TLS, or nothing at all', async () => {
      const socket = connectTcp(endpoint());
      const parts: Buffer[] = [];
      socket.on('data', (part) => parts.push(part));
      socket.on('error', () => undefined);
      socket.write('GET / HTTP/1.0\r\n\r\n');
      await new Promise((resolve) => socket.on('close', resolve));
      // A TLS alert at most: 7 bytes.
      expect(Buffer.concat(parts).length).to.be.at.most(7);
      expect(await heard(client)).to.have.length(0);
      await works();
    });
  });

  it('is not believed by a client unless its certificate is an HSM of the same authority', async () => {
    const refused = (identity: TlsIdentity) => codeOf(() => connectToHsm({ endpoint: endpoint(), identity }));
    expect(await refused(await stranger.identity('client'))).to.equal('CKR_DEVICE_ERROR');
    const posing = await serveHsm({
      hsm,
      identity: client,
      eniIp: '127.0.0.1',
      ports: [0],
      members: () => ({ ...facts, hsms: [] }),
      log: silentLog,
    });
    const there = { host: '127.0.0.1', port: posing.ports[0]! };
    expect(await codeOf(() => connectToHsm({ endpoint: there, identity: client }))).to.equal(
      'CKR_DEVICE_ERROR',
    );
    await posing.close();
  });

  it('ends the connection, and no other, of a client that sends what is no frame', async () => {
    const hello = framed(writeHsmHello(formsHash));
    const other = await open();
    await other.send('login', credentials);
    const request = requestFrame('generateRandom', { lengthBytes: 8 });
    const tooLong = Buffer.alloc(4);
    tooLong.writeUInt32LE(0xffff_ffff);
    const withoutLogin = Buffer.alloc(4);
    withoutLogin.writeUInt32LE(64 * 1024 + 1);
    const malformed: [string, Buffer[]][] = [
      ['no hello', [framed(request)]],
      ['a frame without end', [hello, tooLong]],
      ['a long frame before login', [hello, withoutLogin]],
      ['an empty frame', [hello, framed(Buffer.alloc(0))]],
      ['an unknown kind', [hello, framed(Buffer.from([9]))]],
      ['an unknown command', [hello, framed(Buffer.from([1, 1, 0, 0, 0, 0xff, 0xff, 0]))]],
      ['bytes behind the end', [hello, framed(Buffer.concat([request, Buffer.alloc(1)]))]],
      ['half a request', [hello, framed(request.subarray(0, -1))]],
      ['leave with something behind it', [hello, framed(Buffer.from([5, 0]))]],
      ['another hello before it is told that the first has left', [hello, framed(leave), hello]],
      ['leave twice', [hello, framed(leave), framed(leave)]],
      ['nobody, when one has left', [hello, framed(leave)]],
      ['leave of who only watches', [framed(writeHsmHello(formsHash, {}, true)), framed(leave)]],
      ['a frame that stops half way', [hello, framed(request).subarray(0, -1)]],
    ];
    for (const [what, parts] of malformed) {
      const answer = await heard(client, ...parts);
      // The welcome and the list of members, at most.
      expect(answer.length, what).to.be.lessThan(200);
      expect(await other.send('generateRandom', { lengthBytes: 8 }), what).to.have.length(8);
    }
    other.close();
  });

  it('tells a client of another version so, and nobody beyond its bound gets in', async () => {
    const answer = await heard(client, framed(writeHsmHello(formsHash ^ 1n)));
    expect(answer.toString('latin1')).to.contain('different versions');
    await until(() => server.clients === 0);
    const many = await Promise.all(Array.from({ length: 20 }, open));
    expect(await codeOf(open)).to.equal('CKR_DEVICE_ERROR');
    many[0]!.close();
    await until(() => server.clients === 19);
    await works();
    for (const one of many) one.close();
    await until(() => server.clients === 0);
  });

  it(`stays up through ${CONNECTIONS} connections of mutated requests (seed ${SEED})`, async function () {
    this.timeout(120_000);
    let state = SEED | 1;
    const below = (bound: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % bound;
    };
    const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
    const template = [attribute(CKA.CKA_VALUE_LEN, 16), attribute(CKA.CKA_LABEL, 'fuzz')];
    const good = [
      requestFrame('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template }),
      requestFrame('findObjects', { template }),
      requestFrame('encrypt', { handle: 65, mechanism, input: Buffer.alloc(32) }),
      requestFrame('getAttributes', { handle: 65, types: [CKA.CKA_LABEL] }),
      requestFrame('insertMaskedObject', { masked: Buffer.alloc(64, 3) }),
      requestFrame('login', credentials),
    ];
    for (let count = 0; count < CONNECTIONS; count++) {
      const frames = Array.from({ length: 20 }, () => {
        const frame = Buffer.from(good[below(good.length)]!);
        for (let changes = below(4); changes > 0; changes--) frame[1 + below(frame.length - 1)] = below(256);
        return framed(frame.subarray(0, below(8) === 0 ? below(frame.length) : frame.length));
      });
      const login = framed(requestFrame('login', credentials));
      const end = framed(Buffer.from([9]));
      await heard(client, framed(writeHsmHello(formsHash)), login, ...frames, end);
    }
    await works();
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
