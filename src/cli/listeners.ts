import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandFailure, Failure } from '../base/errors.js';
import { makeFolder } from '../base/files.js';
import { tryLockFile } from '../base/host.js';
import { readClusterFile } from './cluster-file.js';
import { askEngine, type Listening } from './control.js';
import type { Home } from './home.js';

/*
 * What may run on a home: one engine, or a process for each of its HSMs, and a client beside them. Each has a control socket and a
 * lock.
 */

const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 25;

/** A process that commands ask, and the lock that it holds for as long as it lives. */
export type Listener = Listening & Pick<Home, 'lockFile'>;

/** The process of one HSM of the home. */
export function hsmListener({ directory, runDirectory }: Home, hsmId: string): Listener {
  return {
    directory,
    controlSocket: join(runDirectory, `${hsmId}.sock`),
    lockFile: join(runDirectory, `${hsmId}.lock`),
  };
}

/** The cluster's HSMs in their order; none where its file cannot be read, which is for others to complain of. */
function hsmsOfCluster(home: Home): string[] {
  try {
    return readClusterFile(home)?.hsms.map(({ id }) => id) ?? [];
  } catch {
    return [];
  }
}

/** HSMs whose keys are in this home, in the order in which an engine has them: on other machines there may be others of the
 * cluster. */
export function hsmsHere(home: Home): string[] {
  const here = existsSync(home.hsmsDirectory) ? readdirSync(home.hsmsDirectory).sort() : [];
  const ofCluster = hsmsOfCluster(home).filter((id) => here.includes(id));
  return [...ofCluster, ...here.filter((id) => !ofCluster.includes(id))];
}

/** Takes a lock, which the kernel releases when this process ends. False: somebody else has it. */
export function tryLock({ lockFile }: Listener): boolean {
  makeFolder(dirname(lockFile), 0o700);
  return tryLockFile(lockFile);
}

/** Two processes must not have the same HSM. Throws ALREADY_RUNNING. */
export function lockHsm(home: Home, hsmId: string): void {
  if (!tryLock(hsmListener(home, hsmId)))
    throw commandFailure('ALREADY_RUNNING', `${hsmId} of ${home.directory} already runs in another process`);
}

/** Whether it has no HSMs of its own: those of its home run elsewhere. */
export const isClient = async (listener: Listener): Promise<boolean> =>
  (await askEngine<string[]>(listener, 'GET', '/logs')).length === 0;

export const isNotRunning = (error: unknown): boolean =>
  error instanceof Failure && error.code === 'NOT_RUNNING';

/** It runs, and does not answer: it hangs, or has much to do. */
const isSilent = (error: unknown): boolean => error instanceof Failure && error.code === 'ALREADY_RUNNING';

/** Asks what runs on the home: the engine, which answers for its HSMs wherever they are, or the processes of HSMs and a client beside
 * them. By HSM the answers of those that are there, and the engine's or the client's under no id. Throws NOT_RUNNING when nobody
 * answers. */
export async function askRunning<T>(
  home: Home,
  ask: (listener: Listener) => Promise<T>,
): Promise<Map<string | undefined, T>> {
  const answers = new Map<string | undefined, T>();
  let failed: unknown;
  let answersForHsms = false;
  try {
    answersForHsms = !(await isClient(home));
    answers.set(undefined, await ask(home));
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    failed = error;
  }
  for (const id of answersForHsms ? [] : hsmsHere(home)) {
    try {
      answers.set(id, await ask(hsmListener(home, id)));
    } catch (failure) {
      if (isSilent(failure)) failed = failure;
      else if (!isNotRunning(failure)) throw failure;
    }
  }
  if (answers.size === 0) throw failed;
  return answers;
}

/** Asks whoever has the HSM: a process of its own, or the engine. Throws NOT_RUNNING, and BAD_CONFIGURATION for an HSM that is not here. */
export async function askAboutHsm<T>(
  home: Home,
  hsmId: string,
  ask: (listener: Listener) => Promise<T>,
): Promise<T> {
  const here = hsmsHere(home);
  if (here.length > 0 && !here.includes(hsmId))
    throw commandFailure('BAD_CONFIGURATION', `there is no HSM ${hsmId} here: there are ${here.join(', ')}`);
  try {
    return await ask(hsmListener(home, hsmId));
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    return ask(home).catch((failure) => {
      if (!isNotRunning(failure) || here.length === 0) throw failure;
      const start = '`cloudhsm-local hsm` or `cloudhsm-local up` starts it';
      throw commandFailure(
        'NOT_RUNNING',
        `${hsmId} of ${home.directory} does not run: ${start}`,
        failure.cause,
      );
    });
  }
}

/** Ends the process of an HSM, if there is one. Throws START_FAILED when it does not end. */
export async function stopHsm(home: Home, hsmId: string): Promise<void> {
  const listener = hsmListener(home, hsmId);
  try {
    await askEngine(listener, 'POST', '/shutdown');
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    return;
  }
  await untilLocked(new Set([listener]), hsmId);
}

async function untilLocked(ending: Set<Listener>, what: string): Promise<void> {
  for (const deadline = Date.now() + STOP_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    for (const listener of ending) if (tryLock(listener)) ending.delete(listener);
    if (ending.size === 0) return;
  }
  throw commandFailure('START_FAILED', `${what} did not end within ${STOP_TIMEOUT_MS / 1000} s`);
}

/** Ends what runs on the home, waits until it has let go of it, and keeps its locks. Throws NOT_RUNNING. */
export async function stopRunning(home: Home): Promise<void> {
  const ending = new Set<Listener>();
  await askRunning(home, async (listener) => {
    await askEngine(listener, 'POST', '/shutdown');
    ending.add(listener);
  });
  await untilLocked(ending, `what runs on ${home.directory}`);
}

/** Keeps an engine from starting on the home while this process lives. Throws ALREADY_RUNNING. */
export function lockHome(home: Home): void {
  if (tryLock(home)) return;
  const text = `an engine on ${home.directory} holds its lock but does not answer: try again`;
  throw commandFailure('ALREADY_RUNNING', text);
}

/** The same for everything that may run there. */
export function lockAll(home: Home): void {
  lockHome(home);
  for (const id of hsmsHere(home)) lockHsm(home, id);
}
