import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandFailure, Failure } from '../../base/errors.js';
import { tryLockFile } from '../../base/host.js';
import { askEngine } from '../control.js';
import type { Home } from '../home.js';

const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 25;

/** Ends the engine and waits until it has let go of its home. Throws NOT_RUNNING. */
async function stopEngine(home: Home): Promise<void> {
  await askEngine(home, 'POST', '/shutdown');
  for (const deadline = Date.now() + STOP_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    if (tryLockFile(home.lockFile)) return;
  }
  throw commandFailure(
    'START_FAILED',
    `the engine on ${home.directory} did not end within ${STOP_TIMEOUT_MS / 1000} s`,
  );
}

export async function downCommand(home: Home): Promise<void> {
  await stopEngine(home);
  console.log(`The engine on ${home.directory} has ended. Its keys are kept.`);
}

/** Only a folder that an engine made is removed, whatever --home says. */
function requireHome(home: Home): void {
  const entries = readdirSync(home.directory);
  const known = new Set([
    'run',
    'logs',
    'hsms',
    'certificates',
    'credentials.json',
    'cluster.json',
    'readiness.json',
    'cloudhsm-pkcs11.cfg',
  ]);
  const stranger = entries.find((entry) => !known.has(entry.replace(/\.new$/, '')));
  if (stranger !== undefined) {
    throw commandFailure(
      'BAD_CONFIGURATION',
      `${home.directory} is not removed: ${stranger} in it is not cloudhsm-local's`,
    );
  }
}

export async function resetCommand(home: Home): Promise<void> {
  try {
    await stopEngine(home);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'NOT_RUNNING') throw error;
    lockStoppedHome(home);
  }
  if (existsSync(home.directory)) {
    requireHome(home);
    rmSync(home.directory, { recursive: true, force: true });
  }
  console.log(`${home.directory} is forgotten.`);
}

/** No engine answers; the lock tells whether one is starting, or hangs. Held, it also keeps one from starting now. */
function lockStoppedHome(home: Home): void {
  if (!existsSync(home.directory)) return;
  mkdirSync(dirname(home.lockFile), { recursive: true, mode: 0o700 });
  if (!tryLockFile(home.lockFile)) {
    throw commandFailure(
      'ALREADY_RUNNING',
      `an engine on ${home.directory} holds its lock but does not answer`,
    );
  }
}
