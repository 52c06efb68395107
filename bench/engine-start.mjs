/* How long `up --detach` takes and how much memory the engine then has, without keys and with many. */
import { join } from 'node:path';
import { median } from './measure.mjs';
import { Engine } from './targets/cloudhsm-local.mjs';

/**
 * @typedef {{row: string, keys: number, startSeconds: number, residentKiB: number, ownKiB: number,
 *   used?: {residentKiB: number, ownKiB: number}, startRatio?: number, bytesPerKey?: number}} EngineResult
 *   ownKiB: without pages of mapped files; used: before it was ended, after all the rows so far
 */

async function startOnce(engine, starts) {
  starts.push({ startSeconds: await engine.up(), ...(await engine.memory()) });
}

/**
 * Starts an engine on an empty home, and the measured one in turns with it. The measured one runs afterwards.
 * @param {import('./rows.mjs').Row & {size: number}} row
 * @param {Engine} engine  with `row.size` token keys
 * @returns {Promise<EngineResult[]>}
 */
export async function measureEngineStart(row, engine, folder, { rounds, quick }, onStep) {
  const empty = new Engine(join(folder, 'empty-home'));
  const starts = { empty: [], full: [] };
  const turns = quick ? 1 : rounds;
  const used = await engine.memory();
  if (row.size > 0) await engine.down();
  // What only the first start does, such as making users, is not what is measured.
  await empty.up();
  await empty.down();
  for (let round = 1; round <= turns; round++) {
    onStep(`round ${round} of ${turns}`);
    await startOnce(empty, starts.empty);
    await empty.down();
    if (row.size === 0) continue;
    await startOnce(engine, starts.full);
    if (round < turns) await engine.down();
  }
  const without = summary('engine-start-0', 0, starts.empty);
  if (row.size === 0) return [without];
  const full = summary(row.name, row.size, starts.full);
  return [
    without,
    {
      ...full,
      used,
      startRatio: full.startSeconds / without.startSeconds,
      bytesPerKey: ((full.residentKiB - without.residentKiB) * 1024) / row.size,
    },
  ];
}

function summary(row, keys, starts) {
  const of = (field) => median(starts.map((start) => start[field]));
  return {
    row,
    keys,
    startSeconds: of('startSeconds'),
    residentKiB: of('residentKiB'),
    ownKiB: of('ownKiB'),
  };
}
