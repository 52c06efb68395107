import { commandCount, steps } from './command-steps.js';
import type { CommandName } from './commands/index.js';

/** How often an HSM was given each command. */
export class CommandCounts {
  readonly #counts = new Float64Array(commandCount);

  /** Another command, by its place. */
  given(at: number): void {
    this.#counts[at]!++;
  }

  add(name: CommandName, times: number): void {
    this.#counts[steps[name].at]! += times;
  }

  /** Those that were never given are left out. */
  all(): [CommandName, number][] {
    return Object.entries(steps)
      .map(([name, { at }]): [CommandName, number] => [name as CommandName, this.#counts[at]!])
      .filter(([, count]) => count > 0);
  }
}
