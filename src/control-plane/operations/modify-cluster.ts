import type { HsmType } from '../../base/cluster-kind.js';
import { limits } from '../../base/limits.js';
import { invalidRequest } from '../service/errors.js';
import { DAY_MS } from '../state/backups.js';
import type { Operation } from '../state/context.js';
import { moveCluster } from '../state/lifecycles.js';
import type { ClusterRecord } from '../state/records.js';
import { clusterView } from '../state/views.js';
import { findCluster, requireState } from './finding.js';
import { checkHsmType } from './hsm-types.js';
import { daysOf } from './retention.js';

/** hsm1.medium becomes hsm2m.medium, and within a day hsm1.medium again (reference section 8.6). */
function changeHsmType(cluster: ClusterRecord, hsmType: HsmType, nowMs: number): ClusterRecord {
  requireState('Cluster', cluster, 'ACTIVE');
  if (cluster.hsms.some(({ state }) => state !== 'ACTIVE'))
    throw invalidRequest(`An HSM of cluster ${cluster.id} is on its way: wait until all are ACTIVE.`);
  if (hsmType === cluster.hsmType) throw invalidRequest(`Cluster ${cluster.id} has ${hsmType} already.`);
  const { rollback } = cluster;
  if (rollback !== undefined && rollback.hsmType === hsmType && nowMs < rollback.untilMs)
    return { ...moveCluster(cluster, 'ROLLBACK_IN_PROGRESS', nowMs), hsmType };
  if (hsmType !== 'hsm2m.medium')
    throw invalidRequest(`Cluster ${cluster.id} cannot be changed from ${cluster.hsmType} to ${hsmType}.`);
  if (cluster.hsms.length >= limits.hsmsPerCluster)
    throw invalidRequest(`Cluster ${cluster.id} must have at most ${limits.hsmsPerCluster - 1} HSMs.`);
  return {
    ...moveCluster(cluster, 'MODIFY_IN_PROGRESS', nowMs),
    hsmType,
    rollback: { untilMs: nowMs + DAY_MS, hsmType: cluster.hsmType },
  };
}

export const modifyCluster: Operation<'ModifyCluster'> = (input, caller, { catalogue, time }) =>
  catalogue.transaction((tx) => {
    const { ClusterId, BackupRetentionPolicy: retention, HsmType: asked } = input;
    let cluster = findCluster(tx, caller, ClusterId);
    if (retention === undefined && asked === undefined)
      throw invalidRequest('Nothing is to be modified: give BackupRetentionPolicy or HsmType.');
    if (cluster.state === 'DELETE_IN_PROGRESS')
      throw invalidRequest(`Cluster ${ClusterId} is being deleted.`);
    const nowMs = time.nowMs();
    if (asked !== undefined) cluster = changeHsmType(cluster, checkHsmType(asked), nowMs);
    const days = daysOf(retention);
    if (days !== undefined) cluster = { ...cluster, retentionDays: days };
    tx.put('cluster', cluster);
    return { Cluster: clusterView(cluster, nowMs) };
  });
