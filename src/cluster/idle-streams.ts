import { limits } from '../base/limits.js';
import { MalformedFrame } from '../wire/bytes.js';
import { FrameSplitter, framed } from '../wire/frames.js';
import { frameKinds, leave } from '../wire/hsm-frames.js';
import type { TlsStream } from './tls-stream.js';

/** One for each application that may begin before the HSM has let go of those that have ended. */
const MOST_IDLE = 4;
/** Less than an HSM waits for whoever comes next. */
const IDLE_MS = 60_000;
/** An HSM that does not let go soon has other things to do, or is lost. */
const LEAVING_MS = 5_000;

/**
 * Connections to one HSM that applications have left, for those that come next: to connect and to shake hands costs more than all
 * else that an application begins with.
 */
export class IdleStreams {
  /** With what ends the wait for each of them. */
  readonly #leaving = new Map<TlsStream, NodeJS.Timeout>();
  readonly #idle = new Map<TlsStream, NodeJS.Timeout>();
  #closed = false;

  /** An application ends that owes and is owed nothing. */
  add(stream: TlsStream): void {
    if (this.#closed || stream.over || this.#leaving.size + this.#idle.size >= MOST_IDLE) {
      stream.destroy();
      return;
    }
    const splitter = new FrameSplitter(limits.hsmFrameBytes);
    stream.events = {
      received: (chunk) => {
        try {
          splitter.push(chunk);
          for (let frame = splitter.next(); frame !== undefined; frame = splitter.next())
            if (frame[0] === frameKinds.leave) this.#left(stream, splitter);
        } catch {
          stream.destroy();
        }
      },
      closed: () => this.#forget(stream),
    };
    this.#leaving.set(stream, this.#destroyLater(stream, LEAVING_MS));
    stream.startAfresh();
    stream.write(framed(leave));
  }

  /** Throws MalformedFrame where something comes behind that. */
  #left(stream: TlsStream, { holdsPart }: FrameSplitter): void {
    if (holdsPart || !this.#leaving.has(stream)) throw new MalformedFrame('an HSM that speaks to nobody');
    this.#forget(stream);
    this.#idle.set(stream, this.#destroyLater(stream, IDLE_MS));
  }

  #destroyLater(stream: TlsStream, timeoutMs: number): NodeJS.Timeout {
    return setTimeout(() => stream.destroy(), timeoutMs).unref();
  }

  #forget(stream: TlsStream): void {
    for (const streams of [this.#leaving, this.#idle]) {
      clearTimeout(streams.get(stream));
      streams.delete(stream);
    }
  }

  /** The one that was left last, if there is one; whoever takes it listens to it. */
  take(): TlsStream | undefined {
    const stream = [...this.#idle.keys()].findLast((one) => !one.over && !one.hasExpired);
    if (stream !== undefined) this.#forget(stream);
    return stream;
  }

  /** One of them did not work: the others have been there for as long. */
  clear(): void {
    for (const stream of [...this.#leaving.keys(), ...this.#idle.keys()]) stream.destroy();
  }

  /** There will be no more of them. */
  close(): void {
    this.#closed = true;
    this.clear();
  }
}
