import { Failure } from '../base/errors.js';
import type { Eventually } from '../base/eventually.js';
import { limits } from '../base/limits.js';
import { forms, formsHash } from '../hsm/commands/forms.js';
import type { AnswerOf, CommandName, RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { Held, KeyMaker } from '../hsm/leases.js';
import { LimitedToReads } from '../hsm/limited-writes.js';
import { HsmUnavailable } from '../hsm/unavailable.js';
import { deviations } from '../objects/deviations.js';
import type { DeviationListener } from '../objects/gate.js';
import { ckr } from '../pkcs11/ckr.js';
import { MalformedFrame, Reader, Writer } from '../wire/bytes.js';
import { beginFrame, endFrame, FrameSplitter, framed, HEADER_BYTES } from '../wire/frames.js';
import {
  beat,
  type ClientSwitches,
  changedHandle,
  deviationList,
  frameKinds,
  type Members,
  outcomes,
  readHsmWelcome,
  readMembers,
  readRest,
  refusal,
  requestId,
  unavailability,
  writeHsmHello,
} from '../wire/hsm-frames.js';
import { AnsweringAhead } from './answering-ahead.js';
import { writeCommand, writeRequestHead } from './command-frames.js';
import type { IdleStreams } from './idle-streams.js';
import { AnticipatedKeys, keyCommands } from './key-commands.js';
import { hsmIdOf, isClusterCertificate } from './tls.js';
import type { TlsStream } from './tls-stream.js';

export interface HsmEndpoint {
  readonly host: string;
  readonly port: number;
}

/** What a connection is for, and who learns of what comes of it. */
export interface TlsConnectionOptions {
  readonly endpoint: HsmEndpoint;
  readonly switches?: ClientSwitches;
  /** Nobody will log in: it only learns of the cluster's HSMs. */
  readonly watches?: boolean;
  /** Learns of deviations that the HSM allows. */
  readonly allowed?: DeviationListener;
  /** Learns of the cluster's HSMs, and whenever they change. */
  readonly onMembers?: (members: Members) => void;
  /** Where connections are kept for the next application. */
  readonly idle?: IdleStreams;
  /** The HSM is lost, unless it was closed. */
  readonly onLost?: () => void;
}

/** Those above are the addon's (native/addon/tls/asking.h). */
const LAST_ID = 0x7fff_ffff;

interface Pending {
  readonly name: CommandName;
  readonly cause: string | undefined;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** A client's connection to an HSM in another process. */
export class TlsConnection implements HsmConnection {
  readonly #pending = new Map<number, Pending>();
  readonly #ahead = new AnsweringAhead((name, request, cause) => this.#ask(name, request, cause));
  readonly #splitter = new FrameSplitter(limits.hsmFrameBytes);
  readonly #requests = new Writer(64 * 1024, limits.hsmFrameBytes + HEADER_BYTES);
  readonly #timer: NodeJS.Timeout;
  readonly #heard = { atMs: performance.now() };
  readonly #anticipated = new AnticipatedKeys((handle) => this.send('endSessionObject', { handle }));
  /** What the HSM has allowed for the last key that it has generated. */
  #keyDeviations: readonly string[] = [];
  #nextId = 1;
  #greeted: ((hsmId: string) => void) | undefined;
  #lost: HsmUnavailable | undefined;
  hsmId = '';

  constructor(
    private readonly stream: TlsStream,
    private readonly options: TlsConnectionOptions,
    private readonly silenceMs: number,
  ) {
    stream.events = {
      received: (chunk) => this.#receive(chunk),
      closed: (why) =>
        why === undefined
          ? this.#lose('the HSM closed the connection')
          : this.#lose(`the connection to the HSM broke: ${why}`),
    };
    this.#timer = setInterval(() => this.#listen(), Math.max(10, silenceMs / 6)).unref();
  }

  get certificate(): Buffer {
    return this.stream.certificate.der;
  }

  /** Says hello; the HSM's id. */
  greet(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#greeted = resolve;
      this.#pending.set(0, { name: 'logout', cause: undefined, resolve: () => undefined, reject });
      this.stream.write(framed(writeHsmHello(formsHash, this.options.switches, this.options.watches)));
    });
  }

  /** An HSM that owes an answer must at least answer that it is there. */
  #listen(): void {
    const [asked, unansweredMs] = this.stream.asked;
    if (this.#pending.size === 0 && asked === 0) return;
    const unheardMs = performance.now() - this.#heard.atMs;
    const silentMs = asked === 0 ? unheardMs : Math.min(unheardMs, unansweredMs);
    if (silentMs > this.silenceMs) this.#lose(`the HSM has been silent for ${Math.round(silentMs)} ms`);
    else if (silentMs > this.silenceMs / 3) this.stream.write(framed(beat));
  }

  /** Whether more answers are to come. */
  #receive(chunk: Buffer): boolean {
    this.#heard.atMs = performance.now();
    try {
      this.#splitter.push(chunk);
      for (let frame = this.#splitter.next(); frame !== undefined; frame = this.#splitter.next()) {
        if (this.#greeted === undefined) this.#take(frame);
        else this.#welcomed(frame);
      }
    } catch (error) {
      this.#lose('the HSM sent what is no answer', error);
    }
    return this.#pending.size > 0;
  }

  #welcomed(frame: Buffer): void {
    const { status, hsmId, text } = readHsmWelcome(frame);
    const greeted = this.#greeted!;
    if (status !== 'accepted') {
      this.#lose(`the HSM refused the connection: ${text}`);
      return;
    }
    // A certificate is one HSM's, which must not speak for another one, or the whole cluster's.
    const { certificate } = this.stream;
    if (hsmId !== hsmIdOf(certificate) && !isClusterCertificate(certificate))
      throw new MalformedFrame(`${hsmId} is not what the certificate says`);
    this.hsmId = hsmId;
    this.#greeted = undefined;
    this.#pending.delete(0);
    greeted(hsmId);
  }

  #take(frame: Buffer): void {
    const reader = new Reader(frame);
    const kind = reader.u8();
    if (kind === frameKinds.call) this.#answer(reader);
    else if (kind === frameKinds.members) this.options.onMembers?.(readMembers(reader));
    else if (kind === frameKinds.beat) reader.end();
    else if (kind === frameKinds.changed) this.#ahead.changed(readRest(changedHandle, reader));
    else throw new MalformedFrame(`a frame of kind ${kind}`);
  }

  #answer(reader: Reader): void {
    const id = requestId.read(reader);
    const pending = this.#pending.get(id);
    if (pending === undefined) throw new MalformedFrame('an answer to no request');
    const allowed = deviationList.read(reader);
    const outcome = outcomes[reader.u8()];
    if (outcome === 'done') {
      const answer = readRest<unknown>(forms[pending.name].answer, reader);
      this.#allow(allowed, pending.cause);
      if (pending.name === 'generateKey') this.#keyDeviations = allowed;
      this.#pending.delete(id);
      pending.resolve(answer);
    } else if (outcome === 'refused' || outcome === 'limited') {
      const { code, text } = readRest(refusal, reader);
      this.#pending.delete(id);
      pending.reject(outcome === 'limited' ? new LimitedToReads(text) : new Failure(code, text));
    } else if (outcome === 'unavailable') {
      const { reason, text } = readRest(unavailability, reader);
      this.#pending.delete(id);
      pending.reject(new HsmUnavailable(reason, text));
    } else throw new MalformedFrame('an outcome that is none');
  }

  #allow(allowed: readonly string[], cause: string | undefined, times = 1): void {
    if (cause === undefined || times === 0) return;
    for (const deviation of allowed)
      if (deviation in deviations) this.options.allowed?.(deviation as keyof typeof deviations, cause, times);
  }

  send<N extends CommandName>(name: N, request: RequestOf<N>, cause?: string): Eventually<AnswerOf<N>> {
    return this.#ahead.send(name, request, cause);
  }

  hold(described: RequestOf<'describeKey'>, ended: () => void): Held | undefined {
    const release = this.#ahead.hold(described, ended);
    return release && { carrier: this.stream, release };
  }

  askForKeys(
    request: RequestOf<'generateKey'>,
    cause: string,
    onStayed: (handle: number, answered: () => Promise<void>) => void,
  ): KeyMaker {
    const deviations = this.#keyDeviations;
    const commands = keyCommands(request, cause, deviations);
    const destroyed = (id: number) => this.#expect(id, 'destroyObject', undefined);
    const onOther = (id: number, handle: number | undefined): void => {
      if (handle !== undefined) onStayed(handle, () => destroyed(id));
      else this.#anticipated.add(commands.make.words, this.#expect(id, 'generateKey', cause));
    };
    return {
      maker: this.stream.askedKeys({ ...commands, onOther }),
      made: (times) => this.#allow(deviations, cause, times),
      destroyed,
    };
  }

  #expect<N extends CommandName>(id: number, name: N, cause: string | undefined): Promise<AnswerOf<N>> {
    return new Promise<AnswerOf<N>>((resolve, reject) => {
      if (this.#lost !== undefined) throw this.#lost;
      if (this.#pending.size === 0) this.#heard.atMs = performance.now();
      this.#pending.set(id, { name, cause, resolve: resolve as (answer: unknown) => void, reject });
    });
  }

  #ask<N extends CommandName>(
    name: N,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Promise<AnswerOf<N>> {
    if (name === 'generateKey') {
      const anticipated = this.#anticipated.take(request as RequestOf<'generateKey'>, cause);
      if (anticipated !== undefined) return anticipated as Promise<AnswerOf<N>>;
    }
    return new Promise<AnswerOf<N>>((resolve, reject) => {
      if (this.#lost !== undefined) throw this.#lost;
      const id = this.#nextId;
      const frame = this.#requestFrame(id, name, request, cause);
      this.#nextId = (id % LAST_ID) + 1;
      if (this.#pending.size === 0) this.#heard.atMs = performance.now();
      this.#pending.set(id, { name, cause, resolve: resolve as (answer: unknown) => void, reject });
      this.stream.write(frame);
      frame.fill(0);
    });
  }

  #requestFrame<N extends CommandName>(
    id: number,
    name: N,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Buffer {
    const writer = this.#requests;
    try {
      beginFrame(writer);
      writeRequestHead(writer, id);
      writeCommand(writer, name, request, cause);
      return endFrame(writer);
    } catch (error) {
      writer.discard();
      throw ckr('CKR_DATA_LEN_RANGE', 'the request does not fit a frame to the HSM', error);
    }
  }

  /** @param end of the connection itself */
  #lose(why: string, cause?: unknown, end = () => this.stream.destroy()): void {
    if (this.#lost !== undefined) return;
    const { host, port } = this.options.endpoint;
    const text = `${this.hsmId || 'an HSM'} at ${host}:${port}: ${why}`;
    this.#lost = new HsmUnavailable('unreachable', text, { cause });
    clearInterval(this.#timer);
    this.#ahead.close();
    end();
    for (const { reject } of this.#pending.values()) reject(this.#lost);
    this.#pending.clear();
    if (this.hsmId !== '') this.options.onLost?.();
  }

  /** Nothing is under way, either way. */
  get #owesNothing(): boolean {
    const isGreeted = this.#greeted === undefined && !this.#splitter.holdsPart;
    return isGreeted && this.#pending.size === 0 && this.stream.asked[0] === 0 && !this.stream.needsDrain;
  }

  close(): void {
    if (this.#lost !== undefined) return;
    this.hsmId = '';
    const { idle } = this.options;
    const mayRest = idle !== undefined && this.#owesNothing;
    this.#lose(
      'the client closed the connection',
      undefined,
      mayRest ? () => idle.add(this.stream) : undefined,
    );
  }
}
