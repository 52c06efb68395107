import { describeError } from '../../base/errors.js';
import type { HsmPlace } from '../hsm-host.js';
import { stateMessageLength } from '../service/shapes.js';
import { chooseContent, hasContent, liveHsms, locationOf, mayRestore } from '../state/backups.js';
import type { Transaction } from '../state/catalogue.js';
import type { Context } from '../state/context.js';
import { newId } from '../state/ids.js';
import { hsmLifecycle, moveBackup, moveCluster, moveHsm, withHsm } from '../state/lifecycles.js';
import type { ClusterRecord, HsmRecord } from '../state/records.js';
import type { Job } from '../state/scheduler.js';

/** While HSMs of two types have to have the same, nobody writes what lasts (reference section 8.6). */
const isChangingType = ({ state }: ClusterRecord): boolean =>
  state === 'MODIFY_IN_PROGRESS' || state === 'ROLLBACK_IN_PROGRESS';

export const placeOf = (cluster: ClusterRecord, hsm: HsmRecord): HsmPlace => ({
  hsmId: hsm.id,
  clusterId: cluster.id,
  ordinal: hsm.ordinal,
  hsmType: hsm.hsmType,
  mode: cluster.mode,
  eniIp: hsm.eniIp,
  limitsWrites: isChangingType(cluster),
});

/** No two HSMs that a cluster has at the same time have the same ordinal, and one that is gone comes back late. */
const ORDINALS = 63;

export function nextOrdinal(cluster: ClusterRecord): number {
  const taken = new Set(cluster.hsms.map(({ ordinal }) => ordinal));
  for (let step = 1; step <= ORDINALS; step++) {
    const ordinal = ((cluster.lastOrdinal + step - 1) % ORDINALS) + 1;
    if (!taken.has(ordinal)) return ordinal;
  }
  throw new Error(`${cluster.id} has no ordinal left`);
}

/** The cluster with an HSM that is on its way. */
export function withNewHsm(
  cluster: ClusterRecord,
  fields: Omit<HsmRecord, 'id' | 'ordinal' | 'hsmType' | 'state' | 'stateSinceMs'>,
  nowMs: number,
): { cluster: ClusterRecord; hsm: HsmRecord } {
  const ordinal = nextOrdinal(cluster);
  const hsm: HsmRecord = {
    ...fields,
    id: newId('hsm'),
    ordinal,
    hsmType: cluster.hsmType,
    state: 'CREATE_IN_PROGRESS',
    stateSinceMs: nowMs,
  };
  return { cluster: { ...cluster, hsms: [...cluster.hsms, hsm], lastOrdinal: ordinal }, hsm };
}

/** An HSM goes, and another one with its ENI comes; `restoreFrom` is what that one begins with. */
export function replaceHsm(
  cluster: ClusterRecord,
  old: HsmRecord,
  restoreFrom: string | undefined,
  nowMs: number,
): ClusterRecord {
  const { availabilityZone, subnetId, eniId, eniIp, eniIpV6 } = old;
  const leaving = withHsm(cluster, moveHsm(old, 'DELETE_IN_PROGRESS', nowMs, 'The HSM is being replaced.'));
  const place = { availabilityZone, subnetId, eniId, eniIp, eniIpV6 };
  return withNewHsm(leaving, { ...place, restoreFrom, replaces: old.id }, nowMs).cluster;
}

/**
 * Takes back a change of the type of HSM: all that have the new type go, and those that come begin with the last backup of the
 * original type. They must not meet: what was made on HSMs of the new type is lost (reference section 8.6).
 */
export function rollBack(cluster: ClusterRecord, nowMs: number): ClusterRecord {
  return cluster.hsms
    .filter(({ hsmType, state }) => hsmType !== cluster.hsmType && state !== 'DELETE_IN_PROGRESS')
    .reduce((now, hsm) => replaceHsm(now, hsm, cluster.rollback?.backup, nowMs), cluster);
}

/** The cluster and the HSM as they are now, if the HSM is still in this state. */
function current(
  tx: Pick<Transaction, 'get'>,
  clusterId: string,
  { id, state }: HsmRecord,
): { cluster: ClusterRecord; hsm: HsmRecord } | undefined {
  const cluster = tx.get('cluster', clusterId);
  const hsm = cluster?.hsms.find((other) => other.id === id && other.state === state);
  return cluster === undefined || hsm === undefined ? undefined : { cluster, hsm };
}

const isInitialised = ({ state }: ClusterRecord): boolean =>
  !['UNINITIALIZED', 'INITIALIZE_IN_PROGRESS', 'INITIALIZED'].includes(state);

/** Whether a backup of this HSM is under way: it must not go before. */
export function isBackedUp({ catalogue }: Context, hsmId: string): boolean {
  return catalogue
    .all('backup')
    .some(({ fromHsm, state }) => fromHsm === hsmId && state === 'CREATE_IN_PROGRESS');
}

async function create(context: Context, clusterId: string, made: HsmRecord): Promise<void> {
  const { catalogue, host, archive, time } = context;
  const cluster = catalogue.get('cluster', clusterId)!;
  let container: Buffer | undefined;
  if (isInitialised(cluster)) {
    const backup = made.restoreFrom === undefined ? undefined : catalogue.get('backup', made.restoreFrom);
    if (backup === undefined || !hasContent(backup) || !mayRestore(backup, made.hsmType))
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

/** The backup that the HSM was to begin with has come to nothing. */
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
  await context.host.remove(leaving.id);
  await context.catalogue.transaction((tx) => {
    const now = current(tx, clusterId, leaving);
    if (now === undefined) return;
    const hsms = now.cluster.hsms.filter(({ id }) => id !== leaving.id);
    // What the first HSM showed of itself goes with it.
    const identity = hsms.length === 0 ? undefined : now.cluster.identity;
    tx.put('cluster', { ...now.cluster, hsms, identity });
  });
}

/** A failed HSM is replaced by one with its ENI, if there is something that one can begin with. */
async function replace(context: Context, clusterId: string, failed: HsmRecord): Promise<void> {
  const { catalogue, time } = context;
  await catalogue.transaction((tx) => {
    const now = current(tx, clusterId, failed);
    if (now === undefined) return;
    const { state } = now.cluster;
    if (state === 'UNINITIALIZED')
      return tx.put('cluster', replaceHsm(now.cluster, now.hsm, undefined, time.nowMs()));
    const { cluster, backupId } = isInitialised(now.cluster)
      ? chooseContent(tx, now.cluster, time.nowMs())
      : { cluster: now.cluster, backupId: undefined };
    if (backupId === undefined)
      throw new Error(`${failed.id} stays as it is: there is no backup that another HSM could begin with`);
    tx.put('cluster', replaceHsm(cluster, now.hsm, backupId, time.nowMs()));
  });
}

/** An HSM has failed for good. A cluster none of whose HSMs is left is degraded, until one has been replaced. */
export async function noticeFailure(context: Context, hsmId: string, reason: string): Promise<void> {
  const nowMs = context.time.nowMs();
  await context.catalogue.transaction((tx) => {
    const cluster = tx.all('cluster').find(({ hsms }) => hsms.some(({ id }) => id === hsmId));
    const hsm = cluster?.hsms.find(({ id }) => id === hsmId);
    if (cluster === undefined || hsm === undefined) return;
    // Nothing can be taken of it any more.
    for (const backup of tx.all('backup'))
      if (backup.fromHsm === hsmId && backup.state === 'CREATE_IN_PROGRESS')
        tx.put('backup', moveBackup(backup, 'DELETED', nowMs));
    if (hsm.state !== 'ACTIVE') return;
    const degraded = withHsm(cluster, moveHsm(hsm, 'DEGRADED', nowMs, reason));
    const isLost = degraded.state === 'ACTIVE' && liveHsms(degraded).length === 0;
    tx.put('cluster', isLost ? moveCluster(degraded, 'DEGRADED', nowMs, 'No HSM is available.') : degraded);
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
    const delayMs = settings.awsTiming ? (hsmLifecycle[hsm.state].awsMs ?? 0) : 0;
    const dueMs = hsm.stateSinceMs + delayMs;
    switch (hsm.state) {
      case 'CREATE_IN_PROGRESS': {
        if (waits(context, cluster, hsm)) return [];
        const isLastAttempt = (): boolean =>
          cluster.state === 'MODIFY_IN_PROGRESS' && failuresOf(key) + 1 >= MIGRATION_ATTEMPTS;
        const run = (): Promise<void> =>
          create(context, cluster.id, hsm).catch((error) =>
            isLastAttempt()
              ? giveUpMigration(context, cluster.id, error)
              : explain(context, cluster.id, hsm, error),
          );
        return [{ key, dueMs, run }];
      }
      case 'DELETE_IN_PROGRESS':
        if (isBackedUp(context, hsm.id)) return [];
        return [{ key, dueMs, run: () => remove(context, cluster.id, hsm) }];
      case 'DEGRADED':
        if (cluster.state === 'INITIALIZED' || cluster.state === 'INITIALIZE_IN_PROGRESS') return [];
        return [{ key, dueMs, run: () => replace(context, cluster.id, hsm) }];
      default:
        return [];
    }
  });
}
