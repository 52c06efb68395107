import { invalidRequest } from '../service/errors.js';
import type { Operation } from '../state/context.js';
import { moveCluster } from '../state/lifecycles.js';
import { clusterView } from '../state/views.js';
import { findCluster, requireState } from './finding.js';

/** Backups of the cluster stay. */
export const deleteCluster: Operation<'DeleteCluster'> = (input, caller, { catalogue, time }) =>
  catalogue.transaction((tx) => {
    const cluster = findCluster(tx, caller, input.ClusterId);
    if (cluster.hsms.length > 0)
      throw invalidRequest(`Cluster ${cluster.id} has ${cluster.hsms.length} HSMs: delete them first.`);
    requireState('Cluster', cluster, 'UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED');
    const nowMs = time.nowMs();
    const deleted = moveCluster(cluster, 'DELETE_IN_PROGRESS', nowMs, 'The cluster is being deleted.');
    tx.put('cluster', deleted);
    return { Cluster: clusterView(deleted, nowMs) };
  });
