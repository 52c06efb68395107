import type { Socket } from 'node:net';
import { DEFAULT_CIPHERS } from 'node:tls';
import { addonPart } from '../base/addon.js';
import { type Certificate, parseCertificate, type Repeatable } from '../crypto/index.js';
import type { CountsBytes } from '../hsm/traffic.js';
import type { TlsIdentity } from './tls.js';

/** native/addon/tls/stream.h */
interface NativeStream {
  write(bytes: Buffer): boolean;
  pause(): void;
  resume(): void;
  end(): void;
  destroy(): void;
  peerChain(): Buffer[];
  traffic(): [bytesRead: number, bytesWritten: number];
  answerOperation(terms: RepeatedOperation): number;
  endOperation(operation: number): void;
  keepAnswer(terms: KeptAnswer): void;
  asked(): [count: number, unansweredMs: number];
  startAfresh(): void;
}

/** An operation on data, which ends a frame, perhaps with a signature behind it, that the peer asks for again in the same words
 * (native/addon/tls/answering.h). */
export interface RepeatedOperation {
  /** Of the frame, from behind the id to the data's length. */
  readonly words: Buffer;
  /** The frame, behind its header, that answers no output at all, or a signature that is right. */
  readonly answer: Buffer;
  readonly work: Repeatable;
  readonly longestInputBytes: number;
  /** The second of them counts what is answered. */
  readonly uses: Float64Array;
}

/** An answer that may be given again while the sum of two of these numbers is what it is now: of the first, and of one that is named. */
export interface KeptAnswer {
  /** Of the frame, from behind the id. */
  readonly words: Buffer;
  /** Behind its header. */
  readonly answer: Buffer;
  readonly changes: Float64Array;
  readonly changesAt: number;
  /** The first of them counts how often it is given. */
  readonly uses: Float64Array;
}

/** An operation on data that HSMs are asked for in words that they were given before (native/addon/tls/asking.h). */
export interface AskedTerms {
  /** As in RepeatedOperation. */
  readonly words: Buffer;
  readonly answer: Buffer;
  readonly outputBytes: number;
  readonly verifies: boolean;
}

/** A command that an HSM is given in words that it was given before; behind them, and in the answer, is a handle that is another one
 * each time. */
export interface KeyCommand {
  /** As in RepeatedOperation. */
  readonly words: Buffer;
  readonly answer: Buffer;
  readonly outputAt: number;
  readonly outputBytes: number;
}

/** Session keys that an HSM makes and destroys without JavaScript (native/addon/tls/asked-keys.cc). */
export interface AskedKeyTerms {
  readonly make: KeyCommand;
  readonly destroy: KeyCommand;
  /** A request to make a key, or to destroy this one, is answered in another way: the answer comes next. */
  onOther(id: number, handle: number | undefined): void;
}

interface NativePart {
  readonly Context: new (
    server: boolean,
    certificate: string,
    privateKey: string,
    authorities: string,
    ciphers: string,
    suites: string,
  ) => object;
  readonly Stream: new (
    context: object,
    socketFd: number,
    inbox: Buffer,
    onOpen: () => void,
    onData: (at: number, lengthBytes: number) => boolean,
    onDrain: () => void,
    onClose: (why?: string) => void,
  ) => NativeStream;
  askedOperation(terms: AskedTerms & { readonly streams: readonly NativeStream[] }): Repeatable;
  askedKeys(terms: AskedKeyTerms & { readonly stream: NativeStream }): object;
}

const native = addonPart<NativePart>('tls');

/** What is read at a time: four of TLS's longest records. Nothing stays in it. */
const inbox = Buffer.alloc(64 * 1024);

/** Node's ciphers: those of TLS 1.3 have names of their own. */
const isSuite = (name: string): boolean => name.startsWith('TLS_');
const ciphers = DEFAULT_CIPHERS.split(':');
const CIPHERS = ciphers.filter((name) => !isSuite(name)).join(':');
const SUITES = ciphers.filter(isSuite).join(':');

/** A peer that does not take away what it is told last is not waited for. */
const ENDING_MS = 10_000;

/** Who one end of connections is and whom it trusts, as OpenSSL has it. */
export type TlsContext = { readonly context: object };

/**
 * TLS 1.2 or 1.3, with a certificate on each side: the peer's must lead to one of the authorities, and be what it is used as. Whose it
 * is, is for the caller to look at. Throws what is wrong with the PEM.
 * @param authorities PEM: whom it trusts beside the identity's trust anchor
 */
export function tlsContext(
  end: 'client' | 'server',
  { certificate, privateKey, trustAnchor }: TlsIdentity,
  authorities: readonly string[] = [],
): TlsContext {
  const trusted = [trustAnchor, ...authorities].join('\n');
  return {
    context: new native.Context(end === 'server', certificate, privateKey, trusted, CIPHERS, SUITES),
  };
}

/** What happens on a connection, in the event loop. None of it throws. */
export interface TlsEvents {
  /** The peer has shown a certificate that this end trusts. */
  opened?(): void;
  /** In memory of its own. What is written meanwhile goes out in one piece. True: the peer owes more, and is looked for. */
  received?(chunk: Buffer): unknown;
  /** All is written, after `needsDrain`. */
  drained?(): void;
  /** The last one; `why` unless one of the ends wanted it. */
  closed?(why?: string): void;
}

/** Requests wait for their answers: nothing is gained by waiting for more to send. */
function forShortMessages(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 10_000);
}

/** The descriptor that net keeps to itself: there is no other way to read a socket without its stream. */
function descriptorOf(socket: Socket): number {
  const handle = (socket as { _handle?: { fd?: number } })._handle;
  return handle?.fd ?? -1;
}

/**
 * A TLS connection over a connected socket, which must never have been read and belongs to it from now on. node:tls does the same
 * with streams, whose machinery costs more than TLS does (docs/PERFORMANCE.md).
 */
export class TlsStream implements CountsBytes {
  readonly #native: NativeStream;
  #over = false;
  #needsDrain = false;
  #paused = false;
  #tooLong: NodeJS.Timeout | undefined;
  #presented: readonly Buffer[] | undefined;
  #certificate: Certificate | undefined;

  /** Throws where the socket is gone already. */
  constructor(
    { context }: TlsContext,
    private readonly socket: Socket,
    public events: TlsEvents,
  ) {
    // Nobody reads it or writes to it, so that nothing happens there.
    socket.on('error', () => undefined);
    forShortMessages(socket);
    this.#native = new native.Stream(
      context,
      descriptorOf(socket),
      inbox,
      () => this.events.opened?.(),
      (at, lengthBytes) => this.#received(at, lengthBytes),
      () => this.#drained(),
      (why) => this.#closed(why),
    );
  }

  #received(at: number, lengthBytes: number): boolean {
    if (this.#over) return false;
    const chunk = Buffer.allocUnsafe(lengthBytes);
    inbox.copy(chunk, 0, at, at + lengthBytes);
    return this.events.received?.(chunk) === true;
  }

  #drained(): void {
    this.#needsDrain = false;
    if (!this.#over) this.events.drained?.();
  }

  #closed(why?: string): void {
    this.#over = true;
    clearTimeout(this.#tooLong);
    this.socket.destroy();
    this.events.closed?.(why);
  }

  /** Nothing is received or written any more. */
  get over(): boolean {
    return this.#over;
  }

  /** The peer does not take away what is written: there should be no more until it is `drained`. */
  get needsDrain(): boolean {
    return this.#needsDrain;
  }

  /** The bytes are not needed any more. After the end they are not written. */
  write(bytes: Buffer): void {
    if (!this.#over && !this.#native.write(bytes)) this.#needsDrain = true;
  }

  /** From now on answers such frames of the peer by itself, where that keeps nobody else waiting; returns what ends that. */
  answerOperation(terms: RepeatedOperation): () => void {
    const operation = this.#native.answerOperation(terms);
    return () => this.#native.endOperation(operation);
  }

  /** From now on gives the same answer to the same frame, as long as it holds. */
  keepAnswer(terms: KeptAnswer): void {
    this.#native.keepAnswer(terms);
  }

  /** How many of what `askedOperation` has asked are not answered, and for how long none of them was. */
  get asked(): [count: number, unansweredMs: number] {
    return this.#native.asked();
  }

  /** An operation that one of these connections is asked for at a time. */
  static askedOperation(streams: readonly TlsStream[], terms: AskedTerms): Repeatable {
    return native.askedOperation({ ...terms, streams: streams.map((stream) => stream.#native) });
  }

  /** What asks for session keys at the other end of this connection. */
  askedKeys(terms: AskedKeyTerms): object {
    return native.askedKeys({ ...terms, stream: this.#native });
  }

  /** From now on it is another application's: nothing is asked or answered any more that was arranged for the one before. */
  startAfresh(): void {
    this.#native.startAfresh();
  }

  /** What has arrived already is received all the same. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#native.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#native.resume();
  }

  /** Ends the connection when all is written. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#tooLong = setTimeout(() => this.#native.destroy(), ENDING_MS).unref();
    this.#native.end();
  }

  destroy(): void {
    this.#over = true;
    this.#native.destroy();
  }

  /** The certificates that the peer presents and those that they lead to, DER, its own first. Since it was opened. */
  get presented(): readonly Buffer[] {
    this.#presented ??= this.#native.peerChain();
    return this.#presented;
  }

  /** The peer's own. */
  get certificate(): Certificate {
    this.#certificate ??= parseCertificate(this.presented[0]!);
    return this.#certificate;
  }

  /** The peer's certificate: it could not shake hands any more. */
  get hasExpired(): boolean {
    return Date.now() > this.certificate.notAfterMs;
  }

  get bytesRead(): number {
    return this.#native.traffic()[0];
  }

  get bytesWritten(): number {
    return this.#native.traffic()[1];
  }
}
