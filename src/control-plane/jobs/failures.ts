import { describeError } from '../../base/errors.js';
import { chooseContent, liveHsms } from '../state/backups.js';
import type { Context } from '../state/context.js';
import { moveBackup, moveCluster, moveHsm, withHsm } from '../state/lifecycles.js';
import type { ClusterRecord, HsmRecord } from '../state/records.js';
import { current, isInitialised, placeOf, replaceHsm } from './hsm-records.js';

/* HSMs that fail, and what becomes of them (reference section 6.2). */

const BEFORE_ACTIVATION =
  'An HSM failed before activation: the cluster has to be initialized again, with the new CSR.';

/**
 * A failed HSM is replaced by one with its ENI. Before activation there is nothing on it that is worth a backup: the new HSM makes
 * a key pair of its own, and with it another CSR (reference section 6.2). Of an activated cluster there must be something that the
 * new HSM can begin with; when no other HSM has it all, the failed one is tried once more: the latest backup may be a day old.
 */
export async function replace(context: Context, clusterId: string, failed: HsmRecord): Promise<void> {
  const { catalogue, time } = context;
  const cluster = catalogue.get('cluster', clusterId)!;
  const isLast = isInitialised(cluster) && liveHsms(cluster).length === 0;
  const reason = isLast ? await revive(context, clusterId, failed) : '';
  if (reason === undefined) return;
  await catalogue.transaction((tx) => {
    const now = current(tx, clusterId, failed);
    if (now === undefined) return;
    const { cluster: prepared, backupId } = isInitialised(now.cluster)
      ? chooseContent(tx, now.cluster, time.nowMs())
      : { cluster: uninitialised(now.cluster, time.nowMs()), backupId: undefined };
    if (isInitialised(now.cluster) && backupId === undefined)
      throw new Error(`${failed.id} is not replaced, for want of a backup: ${reason}`);
    tx.put('cluster', replaceHsm(prepared, now.hsm, backupId, time.nowMs()));
  });
}

function uninitialised(cluster: ClusterRecord, nowMs: number): ClusterRecord {
  const nobodys = { ...cluster, identity: undefined, trust: undefined };
  return cluster.state === 'UNINITIALIZED'
    ? nobodys
    : moveCluster(nobodys, 'UNINITIALIZED', nowMs, BEFORE_ACTIVATION);
}

/** Lets a failed HSM go on that works after all; otherwise says why not. */
async function revive(
  { catalogue, host, time }: Context,
  clusterId: string,
  failed: HsmRecord,
): Promise<string | undefined> {
  try {
    await host.check(placeOf(catalogue.get('cluster', clusterId)!, failed));
  } catch (error) {
    return describeError(error);
  }
  await catalogue.transaction((tx) => {
    const now = current(tx, clusterId, failed);
    if (now === undefined) return;
    const { setsAside: _, ...rest } = moveHsm(now.hsm, 'ACTIVE', time.nowMs());
    const active = withHsm(now.cluster, rest);
    tx.put('cluster', active.state === 'DEGRADED' ? moveCluster(active, 'ACTIVE', time.nowMs()) : active);
  });
  return undefined;
}

/** An HSM has failed for good. A cluster none of whose HSMs is left is degraded, until one has been replaced. */
export async function noticeFailure(
  context: Context,
  hsmId: string,
  reason: string,
  setsAside: boolean,
): Promise<void> {
  const nowMs = context.time.nowMs();
  await context.catalogue.transaction((tx) => {
    const cluster = tx.all('cluster').find(({ hsms }) => hsms.some(({ id }) => id === hsmId));
    const hsm = cluster?.hsms.find(({ id }) => id === hsmId);
    if (cluster === undefined || hsm === undefined) return;
    // Nothing can be taken of it any more.
    for (const backup of tx.all('backup'))
      if (backup.fromHsm === hsmId && backup.state === 'CREATE_IN_PROGRESS')
        tx.put('backup', moveBackup(backup, 'DELETED', nowMs));
    if (hsm.state !== 'ACTIVE') {
      if (setsAside) tx.put('cluster', withHsm(cluster, { ...hsm, setsAside }));
      return;
    }
    const degraded = withHsm(cluster, { ...moveHsm(hsm, 'DEGRADED', nowMs, reason), setsAside });
    const isLost = degraded.state === 'ACTIVE' && liveHsms(degraded).length === 0;
    tx.put('cluster', isLost ? moveCluster(degraded, 'DEGRADED', nowMs, 'No HSM is available.') : degraded);
  });
}
