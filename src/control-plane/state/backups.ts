import { type HsmType, mayRestoreOn } from '../../base/cluster-kind.js';
import type { BackupLocation } from '../backup-archive.js';
import type { Catalogue, Transaction } from './catalogue.js';
import { newId } from './ids.js';
import type { BackupRecord, ClusterRecord, HsmRecord } from './records.js';

/* Which backups there are, and when: reference section 8. */

export const DAY_MS = 86_400_000;
/** "Deleted backups can be restored for seven days." */
export const DELETION_WINDOW_MS = 7 * DAY_MS;
/** "At least every 24 hours." */
export const BACKUP_INTERVAL_MS = DAY_MS;

/** Whether HSMs of this type take the backup (section 8.5). */
export const mayRestore = (backup: BackupRecord, hsmType: HsmType): boolean =>
  mayRestoreOn(backup.hsmType, hsmType);

/** A backup that has its content: one that waits for its deletion has it, too. */
export const hasContent = ({ state }: BackupRecord): boolean =>
  state === 'READY' || state === 'PENDING_DELETION';

export const locationOf = ({ account, region, id }: BackupRecord): BackupLocation => ({
  account,
  region,
  backupId: id,
});

export const liveHsms = ({ hsms, hsmType }: ClusterRecord): readonly HsmRecord[] =>
  hsms.filter((hsm) => hsm.state === 'ACTIVE' && hsm.hsmType === hsmType);

/** Backups that the service takes of a cluster's HSMs: copies in another region belong to no cluster. */
export const backupsOf = (
  from: Pick<Catalogue | Transaction, 'all'>,
  clusterId: string,
): readonly BackupRecord[] =>
  from.all('backup').filter((backup) => backup.clusterId === clusterId && backup.copy === undefined);

const newest = (backups: readonly BackupRecord[]): BackupRecord | undefined =>
  backups.reduce<BackupRecord | undefined>(
    (latest, backup) => (latest === undefined || backup.createdMs > latest.createdMs ? backup : latest),
    undefined,
  );

/** Puts down that a backup of this HSM is to be taken. The answer is the cluster's record, as it was put. */
export function beginBackup(
  tx: Transaction,
  cluster: ClusterRecord,
  fromHsm: HsmRecord,
  nowMs: number,
): { cluster: ClusterRecord; backup: BackupRecord } {
  const { account, region, mode, trust } = cluster;
  // Which of two is the later one must be plain: at most one begins in a millisecond.
  const last = newest(backupsOf(tx, cluster.id));
  const createdMs = Math.max(nowMs, last === undefined ? nowMs : last.createdMs + 1);
  const backup: BackupRecord = {
    account,
    region,
    id: newId('backup'),
    state: 'CREATE_IN_PROGRESS',
    stateSinceMs: nowMs,
    clusterId: cluster.id,
    hsmType: fromHsm.hsmType,
    mode,
    createdMs,
    neverExpires: false,
    trust,
    fromHsm: fromHsm.id,
    tags: [],
  };
  const backedUp = { ...cluster, lastBackupMs: nowMs };
  tx.put('backup', backup);
  tx.put('cluster', backedUp);
  return { cluster: backedUp, backup };
}

/** The latest backup of its own that the cluster's HSMs take, or that is on its way. */
export const latestUsable = (
  from: Pick<Catalogue | Transaction, 'all'>,
  { id, hsmType }: ClusterRecord,
): BackupRecord | undefined =>
  newest(
    backupsOf(from, id).filter(
      (backup) =>
        (backup.state === 'READY' || backup.state === 'CREATE_IN_PROGRESS') && mayRestore(backup, hsmType),
    ),
  );

/**
 * What a new HSM of a cluster that has content begins with: a backup that is taken of a live HSM now or, without one, the
 * latest there is. undefined when there is none.
 */
export function chooseContent(
  tx: Transaction,
  cluster: ClusterRecord,
  nowMs: number,
): { cluster: ClusterRecord; backupId: string | undefined } {
  const [live] = liveHsms(cluster);
  if (live !== undefined) {
    const begun = beginBackup(tx, cluster, live, nowMs);
    return { cluster: begun.cluster, backupId: begun.backup.id };
  }
  const latest = latestUsable(tx, cluster);
  if (latest !== undefined) return { cluster, backupId: latest.id };
  const source = cluster.sourceBackup === undefined ? undefined : tx.get('backup', cluster.sourceBackup);
  return { cluster, backupId: source !== undefined && hasContent(source) ? source.id : undefined };
}

/** When each backup of the cluster is older than the cluster's policy allows: the last one never is. */
export function expiries(
  from: Pick<Catalogue | Transaction, 'all'>,
  cluster: ClusterRecord,
): { backup: BackupRecord; atMs: number }[] {
  const ready = backupsOf(from, cluster.id).filter(({ state }) => state === 'READY');
  const last = newest(ready);
  return ready
    .filter((backup) => backup !== last && !backup.neverExpires)
    .map((backup) => ({ backup, atMs: backup.createdMs + cluster.retentionDays * DAY_MS }));
}
