/* What each row could reach at best, measured in the same run. */
import { generateKeyPair } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { limits as program } from './build.mjs';
import { run } from './processes.mjs';

const generate = promisify(generateKeyPair);

const SECONDS = 1;
const QUICK_SECONDS = 0.3;

/** @typedef {{text: string, opsPerSecond: number}} Reachable */

/**
 * Each limit is asked for before and after the rounds of every row that has it. The best answer counts: noise only
 * ever makes a limit look lower. A quick run measures it once.
 */

export class Limits {
  #folder;
  #seconds;
  #quick;
  /** The best that was measured, by the words that measured it. */
  #best = new Map();

  /** @param {import('./options.mjs').Options} options */
  constructor(folder, { quick }) {
    this.#folder = folder;
    this.#quick = quick;
    this.#seconds = quick ? QUICK_SECONDS : SECONDS;
  }

  /** Without openssl some limits stay unknown. @type {string | undefined} */
  missing;

  /** @param {import('./rows.mjs').Row} row @returns {Promise<Reachable | undefined>} */
  async of({ limit }, threads) {
    if (limit === undefined) return undefined;
    try {
      return await this.#measure(limit, threads);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      this.missing = 'the limits of openssl speed are left out: openssl is not installed';
      return undefined;
    }
  }

  #measure(limit, threads) {
    if ('openssl' in limit) return this.#openssl(limit, threads);
    if ('roundTrips' in limit) return this.#roundTrips(limit.roundTrips);
    if ('syncs' in limit) return this.#syncs(limit.syncs, threads);
    return this.#generate(limit.generate, threads);
  }

  /** Round trips and disk sync, for the record. */
  async all() {
    const kinds = { socket: ['socket'], sharedMemory: ['shared-memory'], sync: ['sync', this.#folder] };
    const facts = {};
    for (const [name, words] of Object.entries(kinds)) facts[name] = await this.#program(...words);
    return facts;
  }

  /** `measure` gives operations per second, or whatever `rateOf` finds them in. */
  async #measured(key, measure, rateOf = Number) {
    const best = this.#best.get(key);
    if (best !== undefined && this.#quick) return best;
    const now = await measure();
    const better = best === undefined || rateOf(now) > rateOf(best) ? now : best;
    this.#best.set(key, better);
    return better;
  }

  #program(...words) {
    const measure = async () => JSON.parse(await run(program, [...words, String(this.#seconds)]));
    return this.#measured(words.join(' '), measure, ({ opsPerSecond }) => opsPerSecond);
  }

  /** The median: what the machine can do when nobody takes the CPU away. */
  async #roundTrips(count) {
    const { p50Us } = await this.#program('shared-memory');
    return {
      text: count === 1 ? 'shared memory' : `shared memory × ${count}`,
      opsPerSecond: 1e6 / p50Us / count,
    };
  }

  /** Concurrent callers can share a sync. */
  async #syncs(count, threads) {
    const { opsPerSecond } = await this.#program('sync', this.#folder);
    return { text: `disk sync × ${count}`, opsPerSecond: (opsPerSecond / count) * threads };
  }

  /** One process for each thread that has a CPU. */
  async #openssl({ openssl, field, bytes }, threads) {
    const processes = Math.min(threads, availableParallelism());
    const multi = processes > 1 ? ['-multi', String(processes)] : [];
    const words = ['speed', '-mr', '-elapsed', '-seconds', '1', ...multi, ...openssl];
    const speed = await this.#measured(
      words.join(' '),
      async () => parseSpeed(await run('openssl', words)),
      sum,
    );
    return { text: ['openssl', ...multi].join(' '), opsPerSecond: speed[field] / (bytes ?? 1) };
  }

  async #generate(modulusLength, threads) {
    const opsPerSecond = await this.#measured(`generate ${modulusLength} ${threads}`, async () => {
      const started = performance.now();
      const end = started + this.#seconds * 4000;
      let made = 0;
      const maker = async () => {
        for (; performance.now() < end; made++) await generate('rsa', { modulusLength });
      };
      await Promise.all(Array.from({ length: threads }, maker));
      return (made * 1000) / (performance.now() - started);
    });
    return { text: "Node's OpenSSL", opsPerSecond };
  }
}

/**
 * The totals of `openssl speed -mr`: `+F2:2:2048:1165.0:17681.0` (signatures, verifications) or
 * `+F:25:AES-256-GCM:568221696.00` (bytes per second).
 */
function parseSpeed(output) {
  const line = output.split('\n').findLast((text) => /^\+F\d*:/.test(text));
  if (line === undefined) throw new Error(`openssl speed said: ${output}`);
  const words = line.split(':');
  return line.startsWith('+F:')
    ? { bytes: Number(words.at(-1)) }
    : { sign: Number(words[3]), verify: Number(words[4]) };
}

const sum = (speed) => Object.values(speed).reduce((a, b) => a + b);
