import { beginBackup, DAY_MS } from '../state/backups.js';
import type { Transaction } from '../state/catalogue.js';
import type { Context } from '../state/context.js';
import { moveCluster } from '../state/lifecycles.js';
import type { ClusterRecord } from '../state/records.js';
import { replaceHsm, rollBack } from './hsm-records.js';

export type Change = (cluster: ClusterRecord, tx: Transaction, nowMs: number) => void;

/** Changes the cluster, unless somebody else has moved it meanwhile. */
export function change(
  { catalogue, time }: Context,
  { id, state }: ClusterRecord,
  apply: Change,
): Promise<void> {
  return catalogue.transaction((tx) => {
    const now = tx.get('cluster', id);
    if (now?.state === state) apply(now, tx, time.nowMs());
  });
}

/** "At least one connection in the past 7 days": without one AWS takes the change back (reference section 8.6). */
const MOST_IDLE_MS = 7 * DAY_MS;
const UNUSED =
  'No client has connected to the cluster in the last 7 days: the change is taken back. Let a client log in, and try again.';
/** Logins are put down so often at most. */
const USE_NOTED_MS = 3_600_000;

/** Somebody has logged in on an HSM. */
export async function noticeUse({ catalogue, time }: Context, hsmId: string): Promise<void> {
  const usedBefore = (cluster: ClusterRecord): boolean =>
    (cluster.lastUsedMs ?? 0) + USE_NOTED_MS > time.nowMs();
  const known = catalogue.all('cluster').find(({ hsms }) => hsms.some(({ id }) => id === hsmId));
  if (known === undefined || usedBefore(known)) return;
  await catalogue.transaction((tx) => {
    const cluster = tx.get('cluster', known.id);
    if (cluster !== undefined) tx.put('cluster', { ...cluster, lastUsedMs: time.nowMs() });
  });
}

async function isUnused({ host, time }: Context, { hsms, lastUsedMs = 0 }: ClusterRecord): Promise<boolean> {
  if (hsms.length === 0 || lastUsedMs + MOST_IDLE_MS >= time.nowMs()) return false;
  for (const { id } of hsms) if (await host.isInUse(id)) return false;
  return true;
}

const giveUp: Change = (cluster, tx, nowMs) => {
  const back = moveCluster(cluster, 'ROLLBACK_IN_PROGRESS', nowMs, UNUSED);
  tx.put('cluster', { ...back, hsmType: cluster.rollback!.hsmType });
};

/** A change of the type of HSM: forth, one HSM after the other is replaced, and back, all at once (reference section 8.6). */
const nextOfMigration: Change = (cluster, tx, nowMs) => {
  const old = cluster.hsms.find(({ hsmType }) => hsmType !== cluster.hsmType);
  if (old === undefined) {
    const rollback = cluster.state === 'ROLLBACK_IN_PROGRESS' ? undefined : cluster.rollback;
    // Who looks when it is over sees why it was taken back.
    const active = moveCluster(
      cluster,
      'ACTIVE',
      nowMs,
      rollback === undefined ? cluster.stateMessage : undefined,
    );
    tx.put('cluster', { ...active, rollback });
    return;
  }
  if (cluster.state === 'ROLLBACK_IN_PROGRESS') {
    tx.put('cluster', rollBack(cluster, nowMs));
    return;
  }
  const { cluster: backedUp, backup } = beginBackup(tx, cluster, old, nowMs);
  const replaced = replaceHsm(backedUp, old, backup.id, nowMs);
  tx.put('cluster', { ...replaced, rollback: { ...replaced.rollback!, backup: backup.id } });
};

/** Before the first backup nobody writes any more, and before the cluster is ACTIVE again everybody may. */
export async function migrate(context: Context, cluster: ClusterRecord): Promise<void> {
  const isNew = cluster.state === 'MODIFY_IN_PROGRESS' && cluster.rollback?.backup === undefined;
  if (isNew && (await isUnused(context, cluster))) return change(context, cluster, giveUp);
  const goesOn = cluster.hsms.some(({ hsmType }) => hsmType !== cluster.hsmType);
  for (const { id } of cluster.hsms) await context.host.limitWrites(id, goesOn);
  await change(context, cluster, nextOfMigration);
}
