import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { commandFailure, Failure } from '../base/errors.js';
import { tryLockFile } from '../base/host.js';
import type { Home } from './home.js';

/** Takes the home's lock, which the kernel releases when this process ends. False: somebody else has it. */
export function tryLockHome(home: Home): boolean {
  mkdirSync(dirname(home.lockFile), { recursive: true, mode: 0o700 });
  return tryLockFile(home.lockFile);
}

/** What the running engine answers, or, when there is none, `offline` on what the last one has left. Throws NOT_RUNNING for a home
 * that never had one: a gate must not pass because it looked in the wrong place. Throws ALREADY_RUNNING where an engine is just
 * starting or ending. */
export async function askEngineOr<T>(ask: () => Promise<T>, home: Home, offline: () => T): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const isStopped = error instanceof Failure && error.code === 'NOT_RUNNING';
    if (!isStopped || !existsSync(home.clusterFile)) throw error;
  }
  if (!tryLockHome(home)) {
    const text = `an engine on ${home.directory} holds its lock but does not answer: try again`;
    throw commandFailure('ALREADY_RUNNING', text);
  }
  return offline();
}
