import { describeError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { Time } from './time.js';

/** Something to do, once, at or after a time. Jobs with the same key never run at once. */
export interface Job {
  readonly key: string;
  /** What tells it from another job with its key, which begins anew: a failing one does not hold that up. */
  readonly phase?: string;
  readonly dueMs: number;
  run(): Promise<void>;
}

interface Failed {
  readonly owner: string;
  readonly phase: string | undefined;
  readonly count: number;
  readonly retryMs: number;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/**
 * Runs what records in passing states wait for. It keeps nothing: which jobs there are follows from the records each time
 * one of them changes or a job has run, so a restart goes on where the last process ended.
 */
export class Scheduler {
  /** Timers by owner, then by key. */
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, Failed>();
  #closed = false;
  /** Is told of each job that has failed and is tried again later. */
  onFailure: ((job: string, error: unknown) => void) | undefined;

  constructor(
    private readonly jobsOf: (owner: string) => readonly Job[],
    private readonly time: Time,
    private readonly log: Log,
  ) {}

  /** Looks anew at what `owner` waits for. */
  refresh(owner: string): void {
    for (const cancel of this.#waiting.get(owner) ?? []) cancel();
    this.#waiting.delete(owner);
    if (this.#closed) return;
    const jobs = this.jobsOf(owner);
    this.#forgetFailures(owner, jobs);
    const timers = jobs
      .filter(({ key }) => !this.#running.has(key))
      .map((job) => {
        const dueMs = Math.max(job.dueMs, this.#failureOf(job)?.retryMs ?? 0);
        return this.time.at(dueMs, () => this.#start(owner, job));
      });
    if (timers.length > 0) this.#waiting.set(owner, timers);
  }

  #failureOf({ key, phase }: Job): Failed | undefined {
    const failure = this.#failures.get(key);
    return failure?.phase === phase ? failure : undefined;
  }

  /** A job that nobody waits for any more begins anew should it come again. */
  #forgetFailures(owner: string, jobs: readonly Job[]): void {
    for (const [key, failure] of this.#failures)
      if (failure.owner === owner && !jobs.some((job) => job.key === key)) this.#failures.delete(key);
  }

  #start(owner: string, job: Job): void {
    if (this.#closed || this.#running.has(job.key)) return;
    const running = this.#attempt(owner, job).then(() => {
      this.#running.delete(job.key);
      this.refresh(owner);
    });
    this.#running.set(job.key, running);
  }

  async #attempt(owner: string, job: Job): Promise<void> {
    try {
      await job.run();
      this.#failures.delete(job.key);
    } catch (error) {
      if (this.#closed) return;
      const count = (this.#failureOf(job)?.count ?? 0) + 1;
      const waitMs = Math.min(FIRST_RETRY_MS * 2 ** (count - 1), LONGEST_RETRY_MS);
      this.#failures.set(job.key, { owner, phase: job.phase, count, retryMs: this.time.nowMs() + waitMs });
      this.log.warn({ job: job.key, attempt: count, retryInMs: waitMs }, describeError(error));
      this.onFailure?.(job.key, error);
    }
  }

  /** How often in a row a job has failed. */
  failuresOf(key: string): number {
    return this.#failures.get(key)?.count ?? 0;
  }

  /** Resolves when no job runs. Others may be waiting for their time. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** Starts nothing more and waits for what runs. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timers of this.#waiting.values()) for (const cancel of timers) cancel();
    this.#waiting.clear();
    await this.settled();
  }
}
