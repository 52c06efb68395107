import type { Terminal } from './terminal.js';

/** What is asked of HSMs at the same time. */
const AT_A_TIME = 64;

/** Does some work on many things, so many at the same time, and says on a terminal how far it is. */
export async function inBatches<T, R>(
  things: readonly T[],
  noun: string,
  terminal: Pick<Terminal, 'progress'>,
  work: (thing: T) => Promise<R>,
): Promise<R[]> {
  const done: R[] = [];
  try {
    for (let at = 0; at < things.length; at += AT_A_TIME) {
      if (at > 0) terminal.progress?.(`${at} of ${things.length} ${noun}`);
      done.push(...(await Promise.all(things.slice(at, at + AT_A_TIME).map(work))));
    }
  } finally {
    terminal.progress?.(undefined);
  }
  return done;
}
