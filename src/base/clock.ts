/** What time it is; tests bring their own. */
export interface Clock {
  /** Milliseconds since 1970, with a fraction where the machine has one. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => performance.timeOrigin + performance.now() };
