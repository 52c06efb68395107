/*
 * What is counted where it happens, and told here only when somebody asks: operations that are repeated (repeats.ts).
 */

const unsettled = new Set<() => void>();

/** Has `settle` called whenever counts are read, until it is told to stop. */
export function settleWhenAsked(settle: () => void): () => void {
  unsettled.add(settle);
  return () => void unsettled.delete(settle);
}

/** To be called before counts are read. */
export function settleAll(): void {
  for (const settle of unsettled) settle();
}
