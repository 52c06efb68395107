import { existsSync } from 'node:fs';
import type { Home } from './home.js';
import { isNotRunning, lockHome } from './listeners.js';

/** A client of HSMs in other processes leaves no cluster file. */
const hadOne = ({ clusterFile, lockFile }: Home): boolean => existsSync(clusterFile) || existsSync(lockFile);

/** What the running engine answers, or, when there is none, `offline` on what the last one has left. Throws NOT_RUNNING for a home
 * that never had one: a gate must not pass because it looked in the wrong place. Throws ALREADY_RUNNING where an engine is just
 * starting or ending. */
export async function askEngineOr<T>(
  ask: () => Promise<T>,
  home: Home,
  offline: () => T | Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isNotRunning(error) || !hadOne(home)) throw error;
  }
  lockHome(home);
  return offline();
}
