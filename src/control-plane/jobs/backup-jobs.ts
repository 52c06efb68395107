import { backupsOf, hasContent, locationOf } from '../state/backups.js';
import type { Context } from '../state/context.js';
import { backupLifecycle, moveBackup } from '../state/lifecycles.js';
import type { BackupRecord } from '../state/records.js';
import type { Job } from '../state/scheduler.js';

/** A copy to another region that fails so often ends as DELETED. */
const COPY_ATTEMPTS = 5;

/** Puts the backup down in another state, unless somebody else has moved it meanwhile. */
function move(
  { catalogue, time }: Context,
  { id, state }: BackupRecord,
  to: 'READY' | 'DELETED',
): Promise<void> {
  return catalogue.transaction((tx) => {
    const now = tx.get('backup', id);
    if (now?.state !== state) return;
    const { deleteAtMs: _, ...rest } = moveBackup(now, to, time.nowMs());
    tx.put('backup', rest);
  });
}

/**
 * The backups of a cluster are taken one after the other, as they were begun: what the latest one has is what was there last, also when
 * all HSMs go at once.
 */
function isNext({ catalogue }: Context, { clusterId, createdMs }: BackupRecord): boolean {
  return !backupsOf(catalogue, clusterId).some(
    (other) => other.state === 'CREATE_IN_PROGRESS' && other.createdMs < createdMs,
  );
}

/** Takes a backup of a live HSM. When the HSM is no more, there is none to take. */
async function take(context: Context, backup: BackupRecord): Promise<void> {
  const { catalogue, host, archive, log } = context;
  const hsm = catalogue.get('cluster', backup.clusterId)?.hsms.find(({ id }) => id === backup.fromHsm);
  if (hsm === undefined || hsm.state === 'DEGRADED') {
    log.warn({ backup: backup.id, hsm: backup.fromHsm }, 'the HSM failed before its backup was taken');
    return move(context, backup, 'DELETED');
  }
  // What a program wrote after its last backup would be lost with it.
  if (hsm.state === 'DELETE_IN_PROGRESS') await host.retire(hsm.id);
  await archive.store(locationOf(backup), await host.backUp(hsm.id));
  await move(context, backup, 'READY');
}

async function copy(context: Context, backup: BackupRecord, failures: number): Promise<void> {
  const source = context.catalogue.get('backup', backup.copy!.sourceBackup);
  if (source === undefined || !hasContent(source)) return move(context, backup, 'DELETED');
  try {
    await context.archive.copy(locationOf(source), locationOf(backup));
  } catch (error) {
    if (failures + 1 < COPY_ATTEMPTS) throw error;
    context.log.warn({ backup: backup.id, source: source.id }, 'the copy failed and is given up');
    return move(context, backup, 'DELETED');
  }
  await move(context, backup, 'READY');
}

/** The content of a DELETED backup goes after the record says so: a backup that can be restored always has its content. */
async function purge(context: Context, backup: BackupRecord): Promise<void> {
  await context.archive.remove(locationOf(backup));
  await context.catalogue.transaction((tx) => {
    const now = tx.get('backup', backup.id);
    if (now !== undefined) tx.put('backup', { ...now, purged: true });
  });
}

/** What a backup waits for. `failuresOf` tells how often a job has failed. */
export function backupJobs(
  context: Context,
  backup: BackupRecord,
  failuresOf: (key: string) => number,
): Job[] {
  const { settings, catalogue } = context;
  const key = `backup ${backup.id}`;
  const delayMs = settings.awsTiming ? (backupLifecycle[backup.state].awsMs ?? 0) : 0;
  const dueMs = backup.stateSinceMs + delayMs;
  switch (backup.state) {
    case 'CREATE_IN_PROGRESS': {
      if (backup.copy === undefined && !isNext(context, backup)) return [];
      const run = (): Promise<void> =>
        backup.copy === undefined
          ? context.turns.take(backup.clusterId, () => take(context, backup))
          : copy(context, backup, failuresOf(key));
      return [{ key, dueMs, run }];
    }
    case 'PENDING_DELETION':
      return [{ key, dueMs: backup.deleteAtMs ?? dueMs, run: () => move(context, backup, 'DELETED') }];
    case 'DELETED':
      if (backup.purged !== true) return [{ key, dueMs, run: () => purge(context, backup) }];
      return [
        {
          key,
          dueMs: backup.stateSinceMs + settings.tombstoneMs,
          run: () => catalogue.transaction((tx) => tx.remove('backup', backup.id)),
        },
      ];
    default:
      return [];
  }
}
