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

/** A program that signs, encrypts and makes token keys until it is ended. */
export class Worker {
  readonly keys: Acknowledged[] = [];
  readonly complaints: string[] = [];
  calls = 0;
  readonly #child: ChildProcess;
  readonly begun: Promise<unknown>;

  constructor(split: SplitCluster, name: string) {
    const script = join(projectRoot, 'dist', 'test', 'support', 'split-worker.js');
    const child = spawn(process.execPath, [script, name], {
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
      if ('label' in said) this.keys.push(said);
      else if ('calls' in said) this.calls = said.calls;
      else this.complaints.push(line);
    });
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null) return;
    const gone = once(child, 'close');
    child.stdin!.end();
    await gone;
  }
}

/** The same numbers for the same seed: a number below `bound` each time (xorshift32). */
export function seeded(seed: number): (bound: number) => number {
  let state = seed | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
