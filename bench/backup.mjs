/* What backups of an HSM cost, and what programs notice while one is made. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PreparedRow } from './harness.mjs';
import { median } from './measure.mjs';

const program = fileURLToPath(new URL('backup-engine.mjs', import.meta.url));

/**
 * @typedef {{row: string, backupSeconds: number, bytes: number, backupMemoryBytes: number, restoreSeconds: number,
 *   restoreMemoryBytes: number, p99Us: number, p99DuringUs: number, busySeconds: number}} BackupResult
 *   p99DuringUs: of one thread's AES-GCM of 1 KiB while backups are made; busySeconds: what one of those takes
 */

/**
 * @param {import('./rows.mjs').Row & {size: number}} row
 * @param {import('./targets/cloudhsm-local.mjs').Engine} engine  with `row.size` token keys
 * @returns {Promise<BackupResult>}
 */
export async function measureBackup(row, target, { rounds, seconds }, onStep) {
  const { engine } = target;
  await engine.down();
  const child = fork(program, [engine.home, engine.config], { execArgv: ['--expose-gc'] });
  const ask = async (name) => {
    child.send(name);
    return (await once(child, 'message'))[0];
  };
  try {
    await once(child, 'message');
    const made = [];
    const restored = [];
    for (let round = 1; round <= rounds; round++) {
      onStep(`backup ${round} of ${rounds}`);
      made.push(await ask('backup'));
      restored.push(await ask('restore'));
    }
    onStep('latency');
    const busy = await latencies(target, ask, rounds, seconds);
    const of = (all, field) => median(all.map((one) => one[field]));
    return {
      row: row.name,
      backupSeconds: of(made, 'seconds'),
      bytes: made[0].bytes,
      backupMemoryBytes: of(made, 'memoryBytes'),
      restoreSeconds: of(restored, 'seconds'),
      restoreMemoryBytes: of(restored, 'memoryBytes'),
      ...busy,
    };
  } finally {
    child.send('end');
    await once(child, 'exit');
    await engine.up();
  }
}

/** In turns without a backup and while backups are made one after the other. */
async function latencies(target, ask, rounds, seconds) {
  const load = await PreparedRow.prepare(target, { name: 'aes-gcm-1024' }, 1);
  const [without, during, busySeconds] = [[], [], []];
  try {
    await load.measure(seconds);
    for (let round = 0; round < rounds; round++) {
      without.push((await load.measure(seconds)).p99Us);
      let running = true;
      const backups = (async () => {
        while (running) busySeconds.push((await ask('backup')).seconds);
      })();
      during.push((await load.measure(seconds)).p99Us);
      running = false;
      await backups;
    }
  } finally {
    await load.end();
  }
  return { p99Us: median(without), p99DuringUs: median(during), busySeconds: median(busySeconds) };
}
