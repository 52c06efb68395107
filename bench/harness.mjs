import { harness, withCodeNames } from './build.mjs';
import { Conversation, run } from './processes.mjs';

/** How long an operation may take before the module counts as hanging. */
const PATIENCE_MS = 60_000;

/**
 * One row prepared on one target, ready to be measured slice by slice.
 * @typedef {{row: string, threads: number, operations: number, seconds: number, opsPerSecond: number,
 *   p50Us: number, p99Us: number, maxUs: number,
 *   parts: Slice[]}} Slice  parts: of a mix
 */
export class PreparedRow {
  #conversation;

  constructor(conversation) {
    this.#conversation = conversation;
  }

  /** Throws when the module refuses what the row needs, or gives a wrong result. */
  static async prepare(target, row, threads) {
    const words = ['--module', target.module, '--row', row.name, '--threads', String(threads)];
    const prepared = new PreparedRow(new Conversation(harness, words, target.env));
    try {
      await prepared.#named(() => prepared.#conversation.next());
      return prepared;
    } catch (error) {
      await prepared.end();
      throw error;
    }
  }

  /** @returns {Promise<Slice>} */
  measure(seconds) {
    return this.#named(() => this.#conversation.ask(String(seconds), PATIENCE_MS + seconds * 5000));
  }

  async #named(action) {
    try {
      return await action();
    } catch (error) {
      throw new Error(withCodeNames(error.message));
    }
  }

  end() {
    return this.#conversation.end();
  }
}

/** Makes token keys `from` to `to` - 1. `onProgress` gets how many there are. */
export async function populate(target, from, to, threads, onProgress) {
  const words = [
    '--module',
    target.module,
    '--populate',
    String(from),
    String(to),
    '--threads',
    String(threads),
  ];
  try {
    await run(harness, words, { env: target.env, onLine: (line) => onProgress(JSON.parse(line).populated) });
  } catch (error) {
    throw new Error(withCodeNames(error.message));
  }
}
