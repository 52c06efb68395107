import { describeError } from '../../base/errors.js';
import { stateMessageLength } from '../service/shapes.js';
import {
  chooseContent,
  hasContent,
  latestUsable,
  liveHsms,
  locationOf,
  mayRestore,
} from '../state/backups.js';
import type { Context } from '../state/context.js';
import { hsmLifecycle, moveCluster, moveHsm, withHsm } from '../state/lifecycles.js';
import type { BackupRecord, ClusterRecord, HsmRecord } from '../state/records.js';
import type { Job } from '../state/scheduler.js';
import { replace } from './failures.js';
import { current, isBackedUp, isInitialised, placeOf, rollBack } from './hsm-records.js';

async function create(context: Context, clusterId: string, made: HsmRecord): Promise<void> {
  const { catalogue, host, archive, time } = context;
  const cluster = catalogue.get('cluster', clusterId)!;
  let container: Buffer | undefined;
  if (isInitialised(cluster)) {
    const backup = made.restoreFrom === undefined ? undefined : catalogue.get('backup', made.restoreFrom);
    if (backup === undefined || !mayRestore(backup, made.hsmType) || isPast(context, cluster, backup))
      return chooseAnew(context, clusterId, made);
    container = await archive.fetch(locationOf(backup));
  }
  await host.create(placeOf(cluster, made), container);
  const identity = cluster.state === 'UNINITIALIZED' ? await host.identity(made.id) : undefined;
  await catalogue.transaction((tx) => {
    const now = current(tx, clusterId, made);
    if (now === undefined) return;
    const { restoreFrom: _, replaces: __, ...rest } = now.hsm;
    const active = withHsm(now.cluster, moveHsm(rest, 'ACTIVE', time.nowMs()));
    const healthy = active.state === 'DEGRADED' ? moveCluster(active, 'ACTIVE', time.nowMs()) : active;
    tx.put('cluster', identity === undefined ? healthy : { ...healthy, identity });
  });
}

/**
 * Whether an HSM is to begin with another backup than was chosen: its content is gone, or the HSMs that would have told of what was written
 * since have left, and a later backup has it.
 */
function isPast({ catalogue }: Context, cluster: ClusterRecord, backup: BackupRecord): boolean {
  if (!hasContent(backup)) return true;
  if (cluster.state !== 'ACTIVE' && cluster.state !== 'DEGRADED') return false;
  const latest = liveHsms(cluster).length === 0 ? latestUsable(catalogue, cluster) : undefined;
  return latest !== undefined && latest.createdMs > backup.createdMs;
}

/** The backup that the HSM was to begin with is not the one any more. */
async function chooseAnew(context: Context, clusterId: string, made: HsmRecord): Promise<void> {
  await context.catalogue.transaction((tx) => {
    const now = current(tx, clusterId, made);
    if (now === undefined) return;
    const { cluster, backupId } = chooseContent(tx, now.cluster, context.time.nowMs());
    if (backupId === undefined)
      throw new Error(`there is no backup of ${clusterId} that ${made.id} could begin with`);
    tx.put('cluster', withHsm(cluster, { ...now.hsm, restoreFrom: backupId }));
  });
}

/** How often an HSM of the new type may fail to come before the change is taken back: "automatic rollback on validation failure". */
const MIGRATION_ATTEMPTS = 5;

async function giveUpMigration(context: Context, clusterId: string, error: unknown): Promise<void> {
  await context.catalogue.transaction((tx) => {
    const cluster = tx.get('cluster', clusterId);
    if (cluster?.state !== 'MODIFY_IN_PROGRESS' || cluster.rollback === undefined) return;
    const nowMs = context.time.nowMs();
    const text = `The change to ${cluster.hsmType} failed and is taken back: ${describeError(error)}`;
    const back = moveCluster(cluster, 'ROLLBACK_IN_PROGRESS', nowMs, text.slice(0, stateMessageLength));
    tx.put('cluster', rollBack({ ...back, hsmType: cluster.rollback.hsmType }, nowMs));
  });
}

/** Tells why an HSM does not come, and fails as before. */
async function explain(context: Context, clusterId: string, made: HsmRecord, error: unknown): Promise<never> {
  const stateMessage = `The HSM could not be started and is tried again: ${describeError(error)}`;
  await context.catalogue.transaction((tx) => {
    const now = current(tx, clusterId, made);
    if (now === undefined || now.hsm.stateMessage === stateMessage) return;
    tx.put('cluster', withHsm(now.cluster, { ...now.hsm, stateMessage }));
  });
  throw error;
}

async function remove(context: Context, clusterId: string, leaving: HsmRecord): Promise<void> {
  await context.host.remove(leaving.id, leaving.setsAside === true);
  await context.catalogue.transaction((tx) => {
    const now = current(tx, clusterId, leaving);
    if (now === undefined) return;
    const hsms = now.cluster.hsms.filter(({ id }) => id !== leaving.id);
    // What the first HSM showed of itself goes with it.
    const identity = hsms.length === 0 ? undefined : now.cluster.identity;
    tx.put('cluster', { ...now.cluster, hsms, identity });
  });
}

/** Whether an HSM that is on its way has to wait for another one to go, or for its backup. */
function waits(
  { catalogue }: Context,
  cluster: ClusterRecord,
  { restoreFrom, replaces }: HsmRecord,
): boolean {
  const backup = restoreFrom === undefined ? undefined : catalogue.get('backup', restoreFrom);
  if (backup?.state === 'CREATE_IN_PROGRESS' || cluster.hsms.some(({ id }) => id === replaces)) return true;
  return (
    cluster.state === 'ROLLBACK_IN_PROGRESS' &&
    cluster.hsms.some(({ hsmType }) => hsmType !== cluster.hsmType)
  );
}

/** What the HSMs of a cluster wait for. `failuresOf` tells how often a job has failed. */
export function hsmJobs(
  context: Context,
  cluster: ClusterRecord,
  failuresOf: (key: string) => number,
): Job[] {
  const { settings } = context;
  return cluster.hsms.flatMap((hsm): Job[] => {
    const key = `hsm ${hsm.id}`;
    const phase = hsm.state;
    const delayMs = settings.awsTiming ? (hsmLifecycle[hsm.state].awsMs ?? 0) : 0;
    const dueMs = hsm.stateSinceMs + delayMs;
    switch (hsm.state) {
      case 'CREATE_IN_PROGRESS': {
        if (waits(context, cluster, hsm)) return [];
        const isLastAttempt = (): boolean =>
          cluster.state === 'MODIFY_IN_PROGRESS' && failuresOf(key) + 1 >= MIGRATION_ATTEMPTS;
        const run = (): Promise<void> =>
          context.turns
            .take(cluster.id, () => create(context, cluster.id, hsm))
            .catch((error) =>
              isLastAttempt()
                ? giveUpMigration(context, cluster.id, error)
                : explain(context, cluster.id, hsm, error),
            );
        return [{ key, phase, dueMs, run }];
      }
      case 'DELETE_IN_PROGRESS':
        if (isBackedUp(context, hsm.id)) return [];
        return [{ key, phase, dueMs, run: () => remove(context, cluster.id, hsm) }];
      case 'DEGRADED':
        return [{ key, phase, dueMs, run: () => replace(context, cluster.id, hsm) }];
      default:
        return [];
    }
  });
}
