import { loadConfig } from '../../base/config.js';
import { commandFailure } from '../../base/errors.js';
import { requireOwnCluster } from '../cluster-file.js';
import { takeLock } from '../engine.js';
import type { Home } from '../home.js';
import { isClient, tryLock } from '../listeners.js';
import { addHsm, removeHsm } from '../membership.js';
import { membersOf } from '../network.js';
import { shellWord } from '../shell.js';
import { bold, progressLine } from '../terminal.js';

interface Options {
  readonly config?: string;
}

/** Nobody else may change the cluster meanwhile, and no engine may have its HSMs; a client of theirs goes on. Throws ALREADY_RUNNING. */
async function lockMembership(home: Home): Promise<void> {
  const lockFile = home.membershipLockFile;
  if (!tryLock({ ...home, lockFile }))
    throw commandFailure(
      'ALREADY_RUNNING',
      `HSMs of ${home.directory} are being added or removed: try again`,
    );
  if (!(await isClient(home).catch(() => false))) await takeLock(home);
}

/** Makes one HSM more, and says how to run it. */
export async function addHsmCommand(home: Home, { config: file }: Options): Promise<void> {
  const progress = progressLine();
  const { config } = loadConfig(file, {});
  requireOwnCluster(home);
  await lockMembership(home);
  const { file: cluster, member } = await addHsm(home, config, progress.step);
  progress.done();
  const { eniIp, port } = membersOf(cluster, config).hsms.find(({ id }) => id === member.id)!;
  console.log(
    [
      bold(`${cluster.id} has ${cluster.hsms.length} HSMs: ${member.id} is new, at ${eniIp}:${port}`),
      `  cloudhsm-local hsm ${member.id} --home ${shellWord(home.directory)}`,
    ].join('\n'),
  );
}

/** Ends an HSM, and says where what it had is. */
export async function removeHsmCommand(home: Home, hsm: string, { config: file }: Options): Promise<void> {
  const { config } = loadConfig(file, {});
  requireOwnCluster(home);
  await lockMembership(home);
  const { file: cluster, member, kept } = await removeHsm(home, config, hsm);
  console.log(`${cluster.id} has ${cluster.hsms.length} HSMs: ${member.id} is one of them no longer`);
  if (kept !== undefined) console.log(`What it had is in ${kept}, which nothing needs any more.`);
}
