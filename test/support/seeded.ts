/** The same numbers for the same seed: a number below `bound` each time (xorshift32). */
export function seeded(seed: number): (bound: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
