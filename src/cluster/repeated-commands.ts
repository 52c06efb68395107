import { limits } from '../base/limits.js';
import type { CommandName, RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { Lease } from '../hsm/leases.js';
import { changesOf } from '../hsm/read-lease.js';
import { REQUEST_HEAD_BYTES } from './command-frames.js';
import { bareAnswerOf, type DataCommand, dataCommands, isDataCommand } from './data-commands.js';
import type { KeptAnswer, RepeatedOperation } from './tls-stream.js';

/*
 * A client that signs a thousand times gives an HSM the same `sign` a thousand times, with other data behind it, and so it is with `verify`;
 * and it asks for the same attributes again and again. When the HSM has done one of them twice, what carries the connection answers those that follow by itself,
 * under a lease that the HSM recalls before it does anything after which it might answer otherwise (src/hsm/leases.ts, read-lease.ts).
 */

/** Beyond it, the operation that was first repeated is one for the HSM again. */
const MOST_OPERATIONS = 32;
/** What has come; beyond it all is forgotten. */
const MOST_SEEN = 256;
/** Longer commands are not looked at. */
const LONGEST_WORDS = 512;
/** Longer answers are not kept. */
const LONGEST_KEPT = 2048;

/** What the HSM refuses now, it will refuse when it is asked. */
function lent<T>(ask: () => T | undefined): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

/** What carries a connection, and can answer its frames. */
export interface Answerer {
  answerOperation(terms: RepeatedOperation): () => void;
  keepAnswer(terms: KeptAnswer): void;
}

/** The commands of one connection that come again. */
export class RepeatedCommands {
  readonly #seen = new Map<string, 'once' | 'repeated'>();
  readonly #running = new Map<Lease, () => void>();

  constructor(
    private readonly session: HsmConnection,
    private readonly answerer: Answerer,
  ) {}

  /**
   * The HSM has done a command and allowed no deviation.
   * @param frame the command's, which is not kept
   * @param answer its frame behind its header, which is not kept
   * @param isLate it is answered later than it came: something else may have come before
   */
  done(name: CommandName, request: unknown, frame: Buffer, answer: Buffer, isLate: boolean): void {
    if (isDataCommand(name)) this.#operated(name, request as RequestOf<DataCommand>, frame);
    else if (name === 'getAttributes' && !isLate)
      this.#read(request as RequestOf<'getAttributes'>, frame, answer);
  }

  /** What it is remembered by, if it has come before and is not repeated. */
  #isAgain(words: Buffer): string | undefined {
    if (words.length > LONGEST_WORDS) return undefined;
    const key = words.toString('latin1');
    const seen = this.#seen.get(key);
    if (seen !== undefined) return seen === 'once' ? key : undefined;
    if (this.#seen.size >= MOST_SEEN) this.#seen.clear();
    this.#seen.set(key, 'once');
    return undefined;
  }

  #operated(use: DataCommand, request: RequestOf<DataCommand>, frame: Buffer): void {
    const { handle, mechanism } = request;
    const words = frame.subarray(REQUEST_HEAD_BYTES, frame.length - dataCommands[use].behindBytes(request));
    const key = this.#isAgain(words);
    if (key === undefined) return;
    const lease = lent(() => this.session.lease?.({ use, handle, mechanism, makesIv: false }));
    if (lease === undefined) this.#seen.delete(key);
    else this.#start(lease, words, bareAnswerOf(use), key);
  }

  #start(lease: Lease, words: Buffer, answer: Buffer, key: string): void {
    const { work, uses } = lease;
    const longestInputBytes = Math.min(lease.longestInputBytes, limits.hsmFrameBytes);
    const terms = { words, answer, work, longestInputBytes, uses };
    const end = this.answerer.answerOperation(terms);
    const over = (): void => {
      end();
      this.#running.delete(lease);
      this.#seen.delete(key);
      lease.end();
    };
    lease.onRecalled = over;
    const [first] = this.#running.values();
    if (this.#running.size === MOST_OPERATIONS) first!();
    this.#running.set(lease, over);
    this.#seen.set(key, 'repeated');
  }

  /** What of it has ended with a change, JavaScript does not hear of: it is looked at again when it has come twice. */
  #read({ handle, types }: RequestOf<'getAttributes'>, frame: Buffer, answer: Buffer): void {
    if (answer.length > LONGEST_KEPT) return;
    const words = frame.subarray(REQUEST_HEAD_BYTES);
    const key = this.#isAgain(words);
    if (key === undefined) return;
    this.#seen.delete(key);
    const lease = lent(() => this.session.read?.({ handle, types }));
    if (lease === undefined) return;
    const { changes, uses } = lease;
    this.answerer.keepAnswer({ words, answer, changes, changesAt: changesOf(handle), uses });
  }
}
