import { describeError, Failure } from '../base/errors.js';
import { andThen, type Eventually, isPromise, orElse } from '../base/eventually.js';
import { limits } from '../base/limits.js';
import type { Log } from '../base/log.js';
import { commandNames, forms, formsHash } from '../hsm/commands/forms.js';
import type { CommandName, RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import { LimitedToReads } from '../hsm/limited-writes.js';
import { HsmUnavailable, NotAdmitted } from '../hsm/unavailable.js';
import { FrameTooLarge, MalformedFrame, Reader, Writer } from '../wire/bytes.js';
import { beginFrame, endFrame, FrameSplitter, framed, HEADER_BYTES } from '../wire/frames.js';
import {
  beat,
  type ClientSwitches,
  causeShape,
  fitting,
  frameKinds,
  type HsmWelcome,
  leave,
  type Members,
  outcomes,
  readHsmHello,
  refusal,
  requestId,
  unavailability,
  writeChanged,
  writeHsmWelcome,
  writeMembers,
} from '../wire/hsm-frames.js';
import { writeAnswerHead, writeDone } from './command-frames.js';
import { RepeatedCommands } from './repeated-commands.js';
import type { TlsStream } from './tls-stream.js';

/** How long a peer may take for TLS, for its hello, and for a frame that it has begun. */
export interface PeerTimeouts {
  readonly handshakeMs: number;
  readonly helloMs: number;
  readonly frameMs: number;
  /** For the hello of another application, when one has left. */
  readonly idleMs: number;
}

export interface Served {
  readonly hsmId: string;
  /** It is another HSM of the cluster. */
  readonly isPeer: boolean;
  /** The connection was another application's before. */
  readonly wasUsed: boolean;
  readonly timeouts: PeerTimeouts;
  /** A session in the HSM; `allowed` learns of its deviations. */
  connect(switches: ClientSwitches, allowed: (deviation: string, cause: string) => void): HsmConnection;
  /** Calls back when a token object changes, until it is told to stop. */
  watchObjects(changed: (handle: number) => void): () => void;
  /** Whether there is room for one client more. */
  admit(): boolean;
  members(): Members;
}

/** Keys that a connection is told of when they change; beyond it, that any may have. */
const MOST_DESCRIBED = 20_000;

const NO_DEVIATIONS: readonly string[] = [];

const answers = new Writer(64 * 1024, limits.hsmFrameBytes + HEADER_BYTES);

/** How an application's use of a connection ends. */
export interface ServedEnds {
  closed(): void;
  /** The connection may be another application's now. */
  left(): void;
}

/** One application's use of a TLS connection to an HSM, from the HSM's side. Whatever arrives ends this connection at most. */
export class ServedConnection {
  readonly #splitter = new FrameSplitter(limits.hsmStrangerFrameBytes);
  readonly #deviations = new Map<string, string[]>();
  /** Handles that the client may remember something of. */
  readonly #described = new Set<number>();
  readonly #unwatch: () => void;
  #session: HsmConnection | undefined;
  #repeated: RepeatedCommands | undefined;
  #admitted = false;
  #watches = false;
  #underWay = 0;
  #waiting: NodeJS.Timeout | undefined;

  constructor(
    private readonly stream: TlsStream,
    private readonly served: Served,
    private readonly log: Log,
    private readonly ends: ServedEnds,
  ) {
    this.#wait(served.wasUsed ? served.timeouts.idleMs : served.timeouts.helloMs);
    this.#unwatch = served.watchObjects((handle) => {
      if (this.#described.delete(handle)) this.#send(framed(writeChanged(handle)));
    });
    stream.events = {
      received: (chunk) => this.#receive(chunk),
      drained: () => this.#goOn(),
      closed: (why) => {
        if (why !== undefined) log.debug({ hsm: served.hsmId }, `a client is lost: ${why}`);
        this.#closed();
        ends.closed();
      },
    };
  }

  get isPeer(): boolean {
    return this.served.isPeer;
  }

  /** Whether it counts among the clients. */
  get isClient(): boolean {
    return this.#admitted && !this.#watches;
  }

  /** Whether its hello was good. */
  get isAdmitted(): boolean {
    return this.#admitted;
  }

  announce(members: Members): void {
    if (this.#admitted) this.#send(framed(writeMembers(members)));
  }

  end(): void {
    this.stream.destroy();
  }

  #wait(timeoutMs: number): void {
    this.#waiting ??= setTimeout(() => this.#fail('it keeps the HSM waiting'), timeoutMs).unref();
  }

  #stopWaiting(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
  }

  #fail(why: string): void {
    this.log.warn({ hsm: this.served.hsmId }, `a connection was ended: ${why}`);
    this.stream.destroy();
  }

  #receive(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk);
      this.#next();
    } catch (error) {
      this.#fail(describeError(error));
    }
  }

  /** Serves what has arrived, for as long as the peer takes its answers away and has not too much under way. */
  #next(): void {
    while (!this.stream.over) {
      if (this.stream.needsDrain || this.#underWay >= limits.hsmRequestsInFlight) {
        this.stream.pause();
        return;
      }
      this.stream.resume();
      const frame = this.#splitter.next();
      if (frame === undefined) break;
      this.#stopWaiting();
      if (this.#session === undefined) this.#greet(frame);
      else this.#serve(this.#session, frame);
    }
    if (this.#splitter.holdsPart) this.#wait(this.served.timeouts.frameMs);
  }

  #greet(frame: Buffer): void {
    const { tableHash, switches, watches } = readHsmHello(frame);
    const welcome = (status: HsmWelcome['status'], text: string): void =>
      this.#send(framed(writeHsmWelcome({ status, hsmId: this.served.hsmId, text })));
    if (tableHash !== formsHash) {
      welcome('otherTables', 'the client and the HSM are of different versions');
      this.stream.end();
    } else if (!watches && !this.served.admit()) {
      welcome('tooMany', 'the HSM has as many clients as it serves: end one of them first');
      this.stream.end();
    } else {
      try {
        this.#session = this.served.connect(switches, (deviation, cause) =>
          this.#deviations.get(cause)?.push(deviation),
        );
      } catch (error) {
        if (error instanceof NotAdmitted) {
          welcome('notAdmitted', error.message);
          this.stream.end();
          // Who cannot be reached says nothing.
        } else if (error instanceof HsmUnavailable) this.stream.destroy();
        else throw error;
        return;
      }
      this.#repeated = new RepeatedCommands(this.#session, this.stream);
      this.#admitted = true;
      this.#watches = watches;
      welcome('accepted', '');
      this.#send(framed(writeMembers(this.served.members())));
    }
  }

  #serve(session: HsmConnection, frame: Buffer): void {
    const reader = new Reader(frame);
    const kind = reader.u8();
    if (kind === frameKinds.beat) {
      reader.end();
      this.#send(framed(beat));
      return;
    }
    if (kind === frameKinds.leave) {
      reader.end();
      this.#leave();
      return;
    }
    if (kind !== frameKinds.call) throw new MalformedFrame(`a frame of kind ${kind}`);
    const id = requestId.read(reader);
    const name = commandNames[reader.u16()];
    if (name === undefined) throw new MalformedFrame('an unknown command');
    if (this.#watches && name === 'login')
      throw new MalformedFrame('a login, after a hello that only watches');
    const cause = causeShape.read(reader);
    const request = forms[name].request.read(reader) as RequestOf<typeof name>;
    reader.end();
    const done = this.#run(session, id, name, request, cause !== undefined, frame);
    const cleanse = (): void => {
      if (forms[name].secret) frame.fill(0);
    };
    if (isPromise(done)) {
      this.#underWay++;
      void done.then((answer) => {
        this.#underWay--;
        cleanse();
        this.#send(answer);
        this.#goOn();
      });
      return;
    }
    cleanse();
    this.#send(done);
  }

  #leave(): void {
    if (!this.isClient || this.isPeer || this.#underWay > 0 || this.#splitter.holdsPart)
      throw new MalformedFrame('it leaves, and is no client that has nothing under way');
    this.#closed();
    this.stream.startAfresh();
    this.#send(framed(leave));
    this.ends.left();
  }

  #goOn(): void {
    try {
      this.#next();
    } catch (error) {
      this.#fail(describeError(error));
    }
  }

  /** The answer's frame. The HSM is told the request's id for its cause: so its deviations find their way back. */
  #run<N extends CommandName>(
    session: HsmConnection,
    id: number,
    name: N,
    request: RequestOf<N>,
    listens: boolean,
    frame: Buffer,
  ): Eventually<Buffer> {
    if (name === 'describeKey') this.#willDescribe((request as RequestOf<'describeKey'>).handle);
    const cause = listens ? String(id) : undefined;
    if (cause !== undefined) this.#deviations.set(cause, []);
    return orElse(
      () => {
        const sent = session.send(name, request, cause);
        return andThen(sent, (answer) => {
          if (name === 'login') this.#splitter.limitBytes = limits.hsmFrameBytes;
          const isPlain = cause === undefined || this.#deviations.get(cause)?.length === 0;
          const written = this.#written(cause, id, (writer) => {
            writeDone(writer, name, answer);
            if (Buffer.isBuffer(answer)) answer.fill(0);
          });
          if (isPlain) this.#repeated?.done(name, request, frame, written, isPromise(sent));
          return written;
        });
      },
      (error) => {
        if (error instanceof HsmUnavailable && error.reason === 'unreachable') this.stream.destroy();
        return this.#written(cause, id, (writer) => this.#writeFailure(writer, name, error));
      },
    );
  }

  /** From now on: it may change while the answer is on its way. */
  #willDescribe(handle: number): void {
    if (this.#described.size >= MOST_DESCRIBED) {
      this.#described.clear();
      this.#send(framed(writeChanged(0)));
    }
    this.#described.add(handle);
  }

  #written(cause: string | undefined, id: number, write: (writer: Writer) => void): Buffer {
    const deviations = (cause !== undefined && this.#deviations.get(cause)) || NO_DEVIATIONS;
    if (cause !== undefined) this.#deviations.delete(cause);
    try {
      beginFrame(answers);
      writeAnswerHead(answers, id, deviations);
      write(answers);
      return endFrame(answers);
    } catch (error) {
      answers.discard();
      throw error;
    }
  }

  #writeFailure(writer: Writer, name: CommandName, error: unknown): void {
    if (error instanceof HsmUnavailable) {
      writer.u8(outcomes.indexOf('unavailable'));
      unavailability.write(writer, { reason: error.reason, text: fitting(error.message) });
      return;
    }
    writer.u8(outcomes.indexOf(error instanceof LimitedToReads ? 'limited' : 'refused'));
    if (error instanceof Failure) {
      refusal.write(writer, { code: error.code, text: fitting(describeError(error)) });
    } else if (error instanceof FrameTooLarge) {
      refusal.write(writer, { code: 'CKR_DEVICE_MEMORY', text: error.message });
    } else {
      const stack = error instanceof Error ? error.stack : undefined;
      this.log.error({ hsm: this.served.hsmId, stack }, `${name} failed: ${describeError(error)}`);
      refusal.write(writer, { code: 'CKR_GENERAL_ERROR', text: `the HSM failed in ${name}: see its log` });
    }
  }

  /** @param frame behind its header */
  #send(frame: Buffer): void {
    this.stream.write(frame);
    frame.fill(0);
  }

  #closed(): void {
    this.#stopWaiting();
    this.#unwatch();
    this.#session?.close();
    this.#admitted = false;
  }
}
