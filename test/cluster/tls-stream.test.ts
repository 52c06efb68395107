import { connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import { type TlsContext, type TlsEvents, TlsStream, tlsContext } from '../../src/cluster/tls-stream.js';
import { TestAuthority } from '../support/tls.js';

/** node:tls is the peer: OpenSSL as others set it up. */
describe('a TLS connection of our own', () => {
  let hsm: TlsIdentity;
  let client: TlsIdentity;
  let stranger: TlsIdentity;

  before(async () => {
    const [authority, other] = await Promise.all([TestAuthority.make(), TestAuthority.make()]);
    [hsm, client] = await Promise.all([authority.identity('hsm'), authority.identity('client')]);
    stranger = await other.identity('client', 'client', authority);
  });

  const listening = async (server: Server): Promise<number> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as { port: number }).port;
  };
  /** One connection to a server of ours, and how it ended. */
  async function served(
    events: (stream: TlsStream) => TlsEvents,
    context: TlsContext = tlsContext('server', hsm),
  ): Promise<{ port: number; ended: Promise<string | undefined>; close(): void }> {
    let end: (why: string | undefined) => void;
    const ended = new Promise<string | undefined>((resolve) => {
      end = resolve;
    });
    const server = createTcpServer({ pauseOnConnect: true }, (socket) => {
      const stream: TlsStream = new TlsStream(context, socket, {});
      stream.events = { ...events(stream), closed: (why) => end(why) };
    });
    return { port: await listening(server), ended, close: () => server.close() };
  }
  const echo = (stream: TlsStream): TlsEvents => ({ received: (chunk) => stream.write(chunk) });

  const nodeOptions = ({ certificate: cert, privateKey: key, trustAnchor: ca }: Partial<TlsIdentity>) => ({
    ...{ cert, key, ca },
    checkServerIdentity: () => undefined,
  });
  const dial = (port: number, identity: Partial<TlsIdentity>, version?: SecureVersion): TLSSocket =>
    connect({
      host: '127.0.0.1',
      port,
      ...nodeOptions(identity),
      ...(version && { minVersion: version, maxVersion: version }),
    }).on('error', () => undefined);
  const closing = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`carries what node:tls sends over ${version}, long and short, both ways`, async () => {
      const { port, ended, close } = await served(echo);
      const socket = dial(port, client, version);
      const sent = Buffer.alloc(3 * 1024 * 1024, 'what is sent ');
      const parts: Buffer[] = [];
      let bytes = 0;
      const all = new Promise<void>((resolve) => {
        socket.on('data', (part: Buffer) => {
          parts.push(part);
          bytes += part.length;
          if (bytes === sent.length) resolve();
        });
      });
      socket.write(sent.subarray(0, 1));
      socket.write(sent.subarray(1));
      await all;
      expect(Buffer.concat(parts).equals(sent)).to.equal(true);
      expect(socket.getProtocol()).to.equal(version);
      socket.end();
      expect(await ended).to.equal(undefined);
      close();
    });
  }

  it('takes no version before TLS 1.2', async () => {
    const { port, ended, close } = await served(echo);
    await closing(
      connect({
        host: '127.0.0.1',
        port,
        ...nodeOptions(client),
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
      }).on('error', () => undefined),
    );
    expect(await ended).to.be.a('string');
    close();
  });

  const strangers: [string, () => Partial<TlsIdentity>][] = [
    ['without a certificate', () => ({ trustAnchor: client.trustAnchor })],
    ['with a certificate of another authority', () => stranger],
  ];
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    for (const [what, identity] of strangers)
      it(`never opens for a client ${what} (${version})`, async () => {
        let opened = false;
        const events = (): TlsEvents => ({
          opened: () => {
            opened = true;
          },
        });
        const { port, ended, close } = await served(events);
        await closing(
          dial(port, identity(), version).on('secureConnect', function (this: TLSSocket) {
            this.write('x');
          }),
        );
        expect(await ended).to.be.a('string');
        expect(opened).to.equal(false);
        close();
      });

  it("never opens to a server that shows a client's certificate", async () => {
    let opened = false;
    const { port, ended, close } = await served(echo, tlsContext('server', client));
    const socket = connectTcp({ host: '127.0.0.1', port }).pause();
    await new Promise((resolve) => socket.once('connect', resolve));
    const why = await new Promise<string | undefined>((resolve) => {
      new TlsStream(tlsContext('client', client), socket, {
        opened: () => {
          opened = true;
        },
        closed: resolve,
      });
    });
    expect(opened).to.equal(false);
    expect(why).to.match(/purpose/);
    expect(await ended).to.be.a('string');
    close();
  });

  it('is a client of node:tls, which sees its certificate', async () => {
    const server = createServer(
      { ...nodeOptions(hsm), requestCert: true, rejectUnauthorized: true },
      (socket) => {
        socket.on('error', () => undefined);
        socket.write(String(socket.getPeerCertificate().subject.CN));
        socket.on('data', () => socket.end());
      },
    );
    const port = await listening(server);
    const socket = connectTcp({ host: '127.0.0.1', port }).pause();
    await new Promise((resolve) => socket.once('connect', resolve));
    let heard = '';
    const why = await new Promise<string | undefined>((resolve) => {
      const stream: TlsStream = new TlsStream(tlsContext('client', client), socket, {
        received: (chunk) => {
          heard = chunk.toString();
          expect(stream.certificate.commonName).to.equal('hsm');
          stream.write(chunk);
        },
        closed: resolve,
      });
    });
    expect(heard).to.equal('client');
    expect(why).to.equal(undefined);
    server.close();
  });

  it('says when a peer takes nothing away, and when it has', async () => {
    const piece = Buffer.alloc(1024 * 1024);
    let written = 0;
    let drained = false;
    const { port, ended, close } = await served((stream) => ({
      opened: () => {
        while (!stream.needsDrain && written < 1024) {
          stream.write(piece);
          written++;
        }
      },
      drained: () => {
        drained = true;
        stream.end();
      },
    }));
    const socket = dial(port, client);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    let bytes = 0;
    socket.on('data', (part: Buffer) => {
      bytes += part.length;
    });
    await closing(socket);
    expect(await ended).to.equal(undefined);
    expect(drained).to.equal(true);
    expect(written).to.be.lessThan(1024);
    expect(bytes).to.equal(written * piece.length);
    close();
  });

  // RFC 8446, section 5.2: a header of 5 bytes, a content type, and for all of Node's AEADs 16 bytes of tag.
  const RECORD_BYTES = 5 + 1 + 16;

  it('sends what is written while something is received in one record, behind it, unless that takes long', async () => {
    const requests = 200;
    const answerBytes = 3 * 'answer'.length;
    // What was written to the socket when the callback was over, and soon afterwards.
    const sent: { readonly within: number; readonly all: number }[] = [];
    let isSlow = false;
    const { port, ended, close } = await served((stream) => ({
      received: (chunk) => {
        const before = stream.bytesWritten;
        const since = performance.now();
        for (let at = 0; at < 3; at++) {
          stream.write(chunk);
          while (isSlow && performance.now() - since < at + 1);
        }
        const within = stream.bytesWritten - before;
        setImmediate(() => sent.push({ within, all: stream.bytesWritten - before }));
      },
    }));
    const socket = dial(port, client, 'TLSv1.3');
    const ask = async (): Promise<string> => {
      let heard = '';
      const whole = new Promise<void>((resolve) => {
        const hear = (part: Buffer): void => {
          heard += part.toString();
          if (heard.length < answerBytes) return;
          socket.off('data', hear);
          resolve();
        };
        socket.on('data', hear);
      });
      socket.write('answer');
      await whole;
      await new Promise((resolve) => setImmediate(resolve));
      return heard;
    };
    // Some of the callbacks may be interrupted, or compiled: those take long, too.
    for (let at = 0; at < requests; at++) expect(await ask()).to.equal('answeransweranswer');
    expect(sent).to.deep.include({ within: 0, all: answerBytes + RECORD_BYTES });
    isSlow = true;
    expect(await ask()).to.equal('answeransweranswer');
    // The first is gathered, and goes with the second, as that comes late.
    expect(sent.at(-1)!.within).to.be.greaterThan(0);
    expect(sent.at(-1)!.all).to.equal(answerBytes + 3 * RECORD_BYTES);
    socket.end();
    await ended;
    close();
  });

  it('keeps the order of what is written, however much, while something is received', async () => {
    const pieces = [10, 40_000, 10, 16_000, 500, 100_000, 1].map((length, at) => Buffer.alloc(length, at));
    const { port, ended, close } = await served((stream) => ({
      received: () => {
        for (const piece of pieces) stream.write(Buffer.from(piece));
        stream.end();
      },
    }));
    const socket = dial(port, client);
    socket.write('x');
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    await closing(socket);
    expect(Buffer.concat(parts).equals(Buffer.concat(pieces))).to.equal(true);
    expect(await ended).to.equal(undefined);
    close();
  });

  it('reads nothing while it is paused, and goes on where it was', async () => {
    let bytes = 0;
    let paused = false;
    const { port, ended, close } = await served((stream) => ({
      received: (chunk) => {
        expect(paused).to.equal(false);
        bytes += chunk.length;
        paused = true;
        stream.pause();
        setImmediate(() => {
          paused = false;
          stream.resume();
        });
      },
    }));
    const socket = dial(port, client);
    socket.end(Buffer.alloc(500_000));
    expect(await ended).to.equal(undefined);
    expect(bytes).to.equal(500_000);
    close();
  });

  it('lets nobody negotiate again (TLS 1.2)', async () => {
    const { port, ended, close } = await served(echo);
    const socket = dial(port, client, 'TLSv1.2');
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const refused = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(true));
      socket.renegotiate({}, (error) => resolve(error !== null));
    });
    expect(refused).to.equal(true);
    socket.destroy();
    await ended;
    close();
  });

  const breaks: [string, (raw: Socket, socket: TLSSocket) => void, RegExp | undefined][] = [
    ['tells its end', (_raw, socket) => socket.end(), undefined],
    ['goes without a word', (raw) => raw.end(), /eof|broke/],
    ['resets the connection', (raw) => raw.resetAndDestroy(), /reset|broke|eof/i],
    ['sends what is no TLS', (raw) => raw.write(Buffer.alloc(64, 0x55)), /version|record|packet/],
  ];
  for (const [what, act, expected] of breaks)
    it(`ends with a peer that ${what}`, async () => {
      const { port, ended, close } = await served(echo);
      const raw = connectTcp({ host: '127.0.0.1', port });
      raw.on('error', () => undefined);
      const socket = connect({ socket: raw, ...nodeOptions(client) }).on('error', () => undefined);
      await new Promise<void>((resolve) => {
        socket.once('data', () => resolve());
        socket.write('x');
      });
      act(raw, socket);
      const why = await ended;
      if (expected === undefined) expect(why).to.equal(undefined);
      else expect(why).to.match(expected);
      socket.destroy();
      close();
    });

  it('may be ended and destroyed at any time, more than once, and closes once', async () => {
    let closings = 0;
    const server = createTcpServer({ pauseOnConnect: true }, (socket) => {
      const stream: TlsStream = new TlsStream(tlsContext('server', hsm), socket, {
        received: () => {
          stream.write(Buffer.from('y'));
          stream.end();
          stream.destroy();
          stream.destroy();
          stream.write(Buffer.from('z'));
          stream.pause();
          stream.resume();
        },
        closed: () => closings++,
      });
    });
    const socket = dial(await listening(server), client);
    socket.write('x');
    let heard = '';
    socket.on('data', (part: Buffer) => {
      heard += part.toString();
    });
    await closing(socket);
    expect(heard).to.equal('y');
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(closings).to.equal(1);
  });

  it('has an identity whose parts belong together, or none', () => {
    expect(() => tlsContext('server', { ...hsm, privateKey: client.privateKey })).to.throw(/private key/);
    expect(() => tlsContext('server', { ...hsm, certificate: 'none' })).to.throw(/certificate/);
    expect(() => tlsContext('client', { ...client, trustAnchor: '' })).to.throw(/trust anchors/);
  });
});
