import type { Clock } from '../base/clock.js';
import type { CommandName } from './commands/index.js';
import { HsmUnavailable } from './unavailable.js';

/** What a busy HSM says (reference 14.2). */
export const busy = (hsmId: string): HsmUnavailable =>
  new HsmUnavailable(
    'throttled',
    `Response Code: 187. This operation is already in progress. Internal error code: 0x000000BB (${hsmId} is busy)`,
  );

/** What even a busy HSM does: without it nobody comes in or out, and what failed half-way stays so. */
const alwaysDone: ReadonlySet<CommandName> = new Set<CommandName>([
  'login',
  'logout',
  'synchronize',
  'withdrawObject',
  'endSessionObject',
]);
export const mayBeRefused = (name: CommandName): boolean => !alwaysDone.has(name);

/** Lets so many commands through in a second; one second's worth may come at once. */
export class Throttle {
  #left: number;
  #countedMs: number;

  constructor(
    private readonly commandsPerSecond: number,
    private readonly clock: Clock,
  ) {
    this.#left = commandsPerSecond;
    this.#countedMs = clock.nowMs();
  }

  /** Whether there is room for one command more, which is counted then. */
  admits(): boolean {
    const nowMs = this.clock.nowMs();
    const gained = ((nowMs - this.#countedMs) / 1000) * this.commandsPerSecond;
    this.#left = Math.min(this.commandsPerSecond, this.#left + Math.max(0, gained));
    this.#countedMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
