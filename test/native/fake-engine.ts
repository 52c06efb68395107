import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { type SharedGroup, shareMemory } from '../../src/bridge/shared-memory.js';
import { CKR, type CkrName } from '../../src/pkcs11/ckr.js';
import type { AnyInput, AnyOutput } from '../../src/wire/arguments.js';
import type { CallRow } from '../../src/wire/calls.js';
import { readRequest, writeAnswer } from '../../src/wire/codec.js';
import {
  type HandshakeStatus,
  isShare,
  readHello,
  readShare,
  TOKEN_BYTES,
  writeWelcome,
} from '../../src/wire/handshake.js';

export interface Reply {
  readonly rv: CkrName;
  readonly output?: AnyOutput;
  /** Sent as the whole stream of bytes in place of an answer's frame; in shared memory, what follows its length. */
  readonly raw?: Buffer;
}

/** Answers a call. undefined: the answer never comes. */
export type Handler = (
  call: CallRow,
  input: AnyInput,
  application: string,
) => Reply | Promise<Reply> | undefined;

const frame = (body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  return Buffer.concat([length, body]);
};

/** As much of an engine as testing the module takes: the codec on what the module wants, and a handler for calls. */
export class FakeEngine {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #applications = new Set<string>();
  /** What the hellos said: new applications, channels that joined one, and program names. */
  applications = 0;
  joined = 0;
  /** Connections that share memory. */
  shared = 0;
  readonly programs = new Set<string>();

  constructor(
    private readonly handler: Handler,
    private readonly refuse?: { status: HandshakeStatus; text: string },
  ) {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, 511, resolve);
    });
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    let application: string | undefined;
    let group: SharedGroup | undefined;
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      group?.close();
      this.#sockets.delete(socket);
    });
    socket.on('data', (chunk: Buffer) => {
      if (group !== undefined) {
        group.wake();
        return;
      }
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes < 4) return;
      if (pending[0]!.length < 4) pending = [Buffer.concat(pending)];
      const wanted = 4 + pending[0]!.readUInt32LE(0);
      if (pendingBytes < wanted) return;
      const body = Buffer.concat(pending).subarray(4, wanted);
      pending = [];
      pendingBytes = 0;
      if (application === undefined) application = this.#welcome(socket, body);
      else if (isShare(body)) group = this.#share(socket, body, application);
      else this.#answer(socket, body, application);
    });
  }

  #welcome(socket: Socket, body: Buffer): string {
    const hello = readHello(body);
    const token = hello.token ?? randomBytes(TOKEN_BYTES);
    const name = token.toString('hex');
    const known = hello.token === undefined || this.#applications.has(name);
    this.#applications.add(name);
    this.programs.add(hello.program);
    if (hello.token === undefined) this.applications++;
    else this.joined++;
    const refusal = this.refuse ?? {
      status: known ? ('accepted' as const) : ('unknownApplication' as const),
      text: '',
    };
    socket.write(frame(writeWelcome({ ...refusal, token })));
    return name;
  }

  #share(socket: Socket, body: Buffer, application: string): SharedGroup | undefined {
    this.shared++;
    const receive = async (request: Buffer): Promise<Buffer> => {
      const { call, input } = readRequest(request);
      const reply = await this.handler(call, input, application);
      if (reply === undefined) return new Promise(() => {});
      return reply.raw?.subarray(4) ?? writeAnswer(call, CKR[reply.rv], reply.output);
    };
    return shareMemory(socket, readShare(body), 0, { receive, fail: () => socket.destroy() });
  }

  #answer(socket: Socket, body: Buffer, application: string): void {
    const { call, input } = readRequest(body);
    void Promise.resolve(this.handler(call, input, application)).then((reply) => {
      if (reply === undefined || socket.destroyed) return;
      socket.write(reply.raw ?? frame(writeAnswer(call, CKR[reply.rv], reply.output)));
    });
  }
}

/** A handler that knows sessions, random numbers and waiting, and nothing else. */
export function sessionsHandler(): Handler {
  const sessions = new Map<number, string>();
  const waiting = new Map<string, ((reply: Reply) => void)[]>();
  let last = 0;
  return (call, input, application) => {
    const mine = sessions.get(input['hSession'] as number) === application;
    if (call.arguments[0]?.kind === 'session' && !mine) return { rv: 'CKR_SESSION_HANDLE_INVALID' };
    switch (call.name) {
      case 'C_OpenSession':
        sessions.set(++last, application);
        return { rv: 'CKR_OK', output: { phSession: last } };
      case 'C_GetSessionInfo':
        return { rv: 'CKR_OK', output: { pInfo: { slotID: 0, state: 2, flags: 6, ulDeviceError: 0 } } };
      case 'C_GenerateRandom':
        return { rv: 'CKR_OK', output: { RandomData: Buffer.alloc(input['RandomData'] as number, 0x5a) } };
      case 'C_Digest':
        return {
          rv: 'CKR_OK',
          output: { pDigest: Buffer.alloc(32, (input['pData'] as Buffer).length % 251) },
        };
      case 'C_WaitForSlotEvent':
        return new Promise((resolve) => {
          waiting.set(application, [...(waiting.get(application) ?? []), resolve]);
        });
      case 'C_Finalize':
        for (const wake of waiting.get(application) ?? []) wake({ rv: 'CKR_CRYPTOKI_NOT_INITIALIZED' });
        return { rv: 'CKR_OK' };
      default:
        return { rv: 'CKR_OK', output: {} };
    }
  };
}

const inverted = (bytes: Buffer): Buffer => {
  const result = Buffer.alloc(bytes.length);
  for (let i = 0; i < bytes.length; i++) result[i] = ~bytes[i]!;
  return result;
};

/** A handler with one slot, which encrypts by turning each byte's bits over. */
export function invertingHandler(sessions: Handler): Handler {
  return (call, input, application) => {
    if (call.name === 'C_GetSlotList') return { rv: 'CKR_OK', output: { pSlotList: [0] } };
    if (call.name !== 'C_Encrypt') return sessions(call, input, application);
    return { rv: 'CKR_OK', output: { pEncryptedData: inverted(input['pData'] as Buffer) } };
  };
}
