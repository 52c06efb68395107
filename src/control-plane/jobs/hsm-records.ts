import type { HsmPlace } from '../hsm-host.js';
import type { Transaction } from '../state/catalogue.js';
import type { Context } from '../state/context.js';
import { newId } from '../state/ids.js';
import { moveHsm, withHsm } from '../state/lifecycles.js';
import type { ClusterRecord, HsmRecord } from '../state/records.js';

/* Clusters' records with HSMs that come and go. */

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
export function current(
  tx: Pick<Transaction, 'get'>,
  clusterId: string,
  { id, state }: HsmRecord,
): { cluster: ClusterRecord; hsm: HsmRecord } | undefined {
  const cluster = tx.get('cluster', clusterId);
  const hsm = cluster?.hsms.find((other) => other.id === id && other.state === state);
  return cluster === undefined || hsm === undefined ? undefined : { cluster, hsm };
}

export const isInitialised = ({ state }: ClusterRecord): boolean =>
  !['UNINITIALIZED', 'INITIALIZE_IN_PROGRESS', 'INITIALIZED'].includes(state);

/** Whether a backup of this HSM is under way: it must not go before. */
export function isBackedUp({ catalogue }: Context, hsmId: string): boolean {
  return catalogue
    .all('backup')
    .some(({ fromHsm, state }) => fromHsm === hsmId && state === 'CREATE_IN_PROGRESS');
}
