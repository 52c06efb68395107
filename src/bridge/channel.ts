import type { Socket } from 'node:net';
import { andThen, type Eventually } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import type { Application } from '../cryptoki/application.js';
import { answerThrough, dispatch } from '../cryptoki/dispatch.js';
import { MAIN_THREAD } from '../cryptoki/library-log.js';
import { MalformedFrame } from '../wire/bytes.js';
import { readHello, TOKEN_BYTES, type Welcome, writeWelcome } from '../wire/handshake.js';
import { tableHash } from '../wire/table-hash.js';
import type { Applications } from './applications.js';
import { HandshakeRefused } from './applications.js';
import { carrierOf, repeated, type SharedGroup, sharedChannels, shareMemory } from './shared-memory.js';

/**
 * One connection of a module, whatever carries its frames: the first frame is the hello, every further one a request.
 * On a socket one call at a time is under way; in shared memory one on each channel. A transport feeds frames in and
 * carries the answers away; when `receive` throws, it ends the connection, and nothing else suffers.
 */
export class Channel {
  #application: Application | undefined;
  /** The first thread of the connection in the application's log. */
  #thread = 0;
  #greeting = false;
  #closed = false;

  constructor(
    private readonly applications: Applications,
    private readonly log: Log,
  ) {}

  /** The hello was good: what follows are requests. */
  get accepted(): boolean {
    return this.#application !== undefined;
  }

  /** The answer to a frame that came on a socket. Throws, or rejects with, MalformedFrame or HandshakeRefused. */
  receive(frame: Buffer): Eventually<Buffer> {
    if (this.#application === undefined) return this.#handshake(frame);
    return repeated(this.#application.id, frame) ?? this.#serve(this.#application, frame, 0);
  }

  /** A program's threads each use their own of the connection's channels in memory, so a channel's number stands for a thread's. */
  #serve(application: Application, frame: Buffer, channel: number): Eventually<Buffer> {
    return dispatch(application, frame, this.log, this.#thread + channel);
  }

  /** Goes on in shared memory, if there can be any. `fail` ends the connection. */
  share(socket: Socket, layoutVersion: number, fail: (error: unknown) => void): SharedGroup | undefined {
    const application = this.#application!;
    const receive = (frame: Buffer, channel: number) => this.#serve(application, frame, channel);
    return shareMemory(socket, layoutVersion, application.id, { receive, fail });
  }

  #handshake(frame: Buffer): Eventually<Buffer> {
    const hello = readHello(frame);
    if (hello.tableHash !== tableHash) {
      const text =
        'the PKCS#11 module and the running engine are of different versions: rebuild both and restart the engine';
      throw new HandshakeRefused('otherTables', text);
    }
    if (this.#greeting) throw new MalformedFrame('a second hello');
    this.#greeting = true;
    return andThen(this.applications.admit(hello), ({ application, token, connections }) => {
      if (this.#closed) {
        this.applications.release(application);
        throw new MalformedFrame('the module has gone while its HSMs were looked for');
      }
      this.#application = application;
      answerThrough(carrierOf(application.id), application, this.log);
      this.#thread = MAIN_THREAD + (connections - 1) * sharedChannels;
      return writeWelcome({ status: 'accepted', token, text: '' });
    });
  }

  /** The connection is gone: with its last one, the application ends. */
  close(): void {
    this.#closed = true;
    if (this.#application !== undefined) this.applications.release(this.#application);
    this.#application = undefined;
  }
}

/** The last frame to a peer whose hello was refused, so that its user learns why; undefined for any other failure. */
export function farewell(error: unknown): Buffer | undefined {
  if (!(error instanceof HandshakeRefused)) return undefined;
  const welcome: Welcome = { status: error.status, token: Buffer.alloc(TOKEN_BYTES), text: error.message };
  return writeWelcome(welcome);
}
