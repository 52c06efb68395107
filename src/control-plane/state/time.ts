import { type Clock, systemClock } from '../../base/clock.js';

/** What time it is, and a call when it is another; tests bring their own. */
export interface Time extends Clock {
  /** Calls `run` once `nowMs()` has reached `atMs`, never before this call has returned. The answer cancels it. */
  at(atMs: number, run: () => void): () => void;
}

/** What setTimeout can wait at most. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

export const systemTime: Time = {
  nowMs: () => systemClock.nowMs(),
  at: (atMs, run) => {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      const left = atMs - systemClock.nowMs();
      timer = setTimeout(left <= LONGEST_WAIT_MS ? run : wait, Math.min(Math.max(left, 0), LONGEST_WAIT_MS));
      timer.unref();
    };
    wait();
    return () => clearTimeout(timer);
  },
};
