import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot } from './engine.js';
import type { SplitCluster } from './split.js';

/** A key whose creation was acknowledged, and what a block of zeros becomes under it. */
export interface Acknowledged {
  readonly label: string;
  readonly handle: number;
  readonly expected: string;
}

/** CLOUDHSM_LOCAL_CHAOS_SECONDS lengthens what breaks things, CLOUDHSM_LOCAL_CHAOS_SEED repeats the choices of a run. */
export const chaos = {
  seconds: Number(process.env['CLOUDHSM_LOCAL_CHAOS_SECONDS'] ?? 10),
  seed: Number(process.env['CLOUDHSM_LOCAL_CHAOS_SEED'] ?? Math.floor(Math.random() * 1_000_000)),
};

/** Two programs, eight threads. */
export function chaosWorkers(split: SplitCluster): readonly Worker[] {
  return [new Worker(split, 'a', 6, chaos.seed), new Worker(split, 'b', 2, chaos.seed + 100)];
}

/** A program whose threads sign, encrypt, and make and destroy token keys until it is ended. */
export class Worker {
  readonly #keys = new Map<number, Acknowledged>();
  /** Handles of keys whose destruction was acknowledged. */
  readonly destroyed: number[] = [];
  readonly complaints: string[] = [];
  calls = 0;
  readonly #child: ChildProcess;
  readonly begun: Promise<unknown>;

  constructor(split: SplitCluster, name: string, threads: number, seed: number) {
    const script = join(projectRoot, 'dist', 'test', 'support', 'split-worker.js');
    const child = spawn(process.execPath, [script, name, String(threads), String(seed)], {
      env: split.env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout! });
    const ended = once(child, 'exit').then(() =>
      Promise.reject(new Error(`${name} ended before it had begun`)),
    );
    this.begun = Promise.race([once(lines, 'line'), ended]);
    lines.on('line', (line) => {
      const said = JSON.parse(line);
      if ('ending' in said) this.#keys.delete(said.ending);
      else if ('ended' in said) this.destroyed.push(said.ended);
      else if ('expected' in said) this.#keys.set(said.handle, said);
      else if ('calls' in said) this.calls += said.calls;
      else this.complaints.push(line);
    });
  }

  /** Those that must be there. */
  get keys(): readonly Acknowledged[] {
    return [...this.#keys.values()];
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null) return;
    const gone = once(child, 'close');
    child.stdin!.end();
    await gone;
  }
}
