import type { BackupState, ClusterState, HsmState } from '../service/shapes.js';
import type { BackupRecord, ClusterRecord, HsmRecord } from './records.js';

/*
 * THE row per state: where it may go, and how long it lasts on AWS when it passes by itself. docs/CONTROL-PLANE.md draws
 * them. States that nothing enters (UPDATE_IN_PROGRESS, an HSM's DELETED) have no way out.
 */

interface StateRow<S extends string> {
  readonly to: readonly S[];
  /** With AWS's timing. Without it a state that passes by itself ends as soon as its work is done. */
  readonly awsMs?: number;
}

const minutes = (count: number): number => count * 60_000;

export const clusterLifecycle: Readonly<Record<ClusterState, StateRow<ClusterState>>> = {
  CREATE_IN_PROGRESS: { to: ['UNINITIALIZED', 'ACTIVE'], awsMs: minutes(1) },
  UNINITIALIZED: { to: ['INITIALIZE_IN_PROGRESS', 'DELETE_IN_PROGRESS'] },
  INITIALIZE_IN_PROGRESS: { to: ['INITIALIZED', 'UNINITIALIZED'], awsMs: minutes(3) },
  INITIALIZED: { to: ['ACTIVE', 'UNINITIALIZED', 'DELETE_IN_PROGRESS'] },
  ACTIVE: { to: ['MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS', 'DEGRADED', 'DELETE_IN_PROGRESS'] },
  DEGRADED: { to: ['ACTIVE', 'DELETE_IN_PROGRESS'] },
  UPDATE_IN_PROGRESS: { to: [] },
  MODIFY_IN_PROGRESS: { to: ['ACTIVE', 'ROLLBACK_IN_PROGRESS'] },
  ROLLBACK_IN_PROGRESS: { to: ['ACTIVE'] },
  DELETE_IN_PROGRESS: { to: ['DELETED'], awsMs: minutes(1) },
  DELETED: { to: [] },
};

export const hsmLifecycle: Readonly<Record<HsmState, StateRow<HsmState>>> = {
  CREATE_IN_PROGRESS: { to: ['ACTIVE', 'DELETE_IN_PROGRESS'], awsMs: minutes(5) },
  ACTIVE: { to: ['DEGRADED', 'DELETE_IN_PROGRESS'] },
  DEGRADED: { to: ['ACTIVE', 'DELETE_IN_PROGRESS'] },
  DELETE_IN_PROGRESS: { to: [], awsMs: minutes(2) },
  DELETED: { to: [] },
};

export const backupLifecycle: Readonly<Record<BackupState, StateRow<BackupState>>> = {
  CREATE_IN_PROGRESS: { to: ['READY', 'DELETED'], awsMs: minutes(1) },
  READY: { to: ['PENDING_DELETION'] },
  PENDING_DELETION: { to: ['READY', 'DELETED'] },
  DELETED: { to: [] },
};

function move<S extends string, R extends { readonly id: string; readonly state: S }>(
  rows: Readonly<Record<S, StateRow<S>>>,
  record: R,
  state: S,
  nowMs: number,
  stateMessage?: string,
): R {
  if (!rows[record.state].to.includes(state))
    throw new Error(`${record.id} cannot go from ${record.state} to ${state}`);
  return { ...record, state, stateSinceMs: nowMs, stateMessage };
}

/** The record in another state. Throws Error when the table has no such way. */
export const moveCluster = (cluster: ClusterRecord, to: ClusterState, nowMs: number, message?: string) =>
  move(clusterLifecycle, cluster, to, nowMs, message);
export const moveHsm = (hsm: HsmRecord, to: HsmState, nowMs: number, message?: string) =>
  move(hsmLifecycle, hsm, to, nowMs, message);
export const moveBackup = (backup: BackupRecord, to: BackupState, nowMs: number) =>
  move(backupLifecycle, backup, to, nowMs);

/** The cluster with one of its HSMs changed. */
export function withHsm(cluster: ClusterRecord, changed: HsmRecord): ClusterRecord {
  return { ...cluster, hsms: cluster.hsms.map((hsm) => (hsm.id === changed.id ? changed : hsm)) };
}
