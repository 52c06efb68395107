import { setTimeout as sleep } from 'node:timers/promises';

/** Time and chance, as waiting for a busy HSM needs them; tests bring their own. */
export interface Pause {
  wait(timeMs: number): Promise<unknown>;
  /** From 0 up to 1. */
  chance(): number;
}

export const systemPause: Pause = { wait: (timeMs) => sleep(timeMs), chance: Math.random };

/** "4 tries, 100 ms doubling, jitter" [guess] (reference, section 20). */
export const BUSY_TRIES = 4;
const FIRST_BACKOFF_MS = 100;

/** How long to wait for a busy HSM after so many tries: half as long to one and a half times as long, so that clients that were
 * refused together do not come back together. */
export const backoffMs = (tries: number, { chance }: Pick<Pause, 'chance'>): number =>
  FIRST_BACKOFF_MS * 2 ** (tries - 1) * (0.5 + chance());
