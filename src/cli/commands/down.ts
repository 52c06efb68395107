import { existsSync, readdirSync, rmSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { commandFailure } from '../../base/errors.js';
import type { Home } from '../home.js';
import { isNotRunning, lockAll, stopRunning } from '../listeners.js';

export async function downCommand(home: Home): Promise<void> {
  await stopRunning(home);
  console.log(`What ran on ${home.directory} has ended. Its keys are kept.`);
}

/** Only a folder that an engine made is removed, whatever --home says. */
function requireHome(home: Home): void {
  const entries = readdirSync(home.directory);
  const known = new Set(
    Object.values(home)
      .flatMap((value: string | object) => (typeof value === 'string' ? value : Object.values(value)))
      .map((path) => relative(home.directory, path).split(sep)[0]),
  );
  const stranger = entries.find((entry) => !known.has(entry.replace(/\.new$/, '')));
  if (stranger !== undefined) {
    throw commandFailure(
      'BAD_CONFIGURATION',
      `${home.directory} is not removed: ${stranger} in it is not cloudhsm-local's`,
    );
  }
}

export async function resetCommand(home: Home): Promise<void> {
  if (existsSync(home.directory)) requireHome(home);
  try {
    await stopRunning(home);
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    if (existsSync(home.directory)) lockAll(home);
  }
  if (existsSync(home.directory)) {
    requireHome(home);
    rmSync(home.directory, { recursive: true, force: true });
  }
  console.log(`${home.directory} is forgotten.`);
}
