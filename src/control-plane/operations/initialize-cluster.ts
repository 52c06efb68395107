import { checkClusterTrust } from '../identity/cluster-trust.js';
import { invalidRequest } from '../service/errors.js';
import type { Operation } from '../state/context.js';
import { moveCluster } from '../state/lifecycles.js';
import { findCluster, requireState } from './finding.js';

/** Once only: the owner's certificate makes the HSM the owner's. */
export const initializeCluster: Operation<'InitializeCluster'> = (input, caller, { catalogue, time }) =>
  catalogue.transaction((tx) => {
    const { ClusterId, SignedCert: certificate, TrustAnchor: trustAnchor } = input;
    const cluster = findCluster(tx, caller, ClusterId);
    requireState('Cluster', cluster, 'UNINITIALIZED');
    if (cluster.identity === undefined || !cluster.hsms.some(({ state }) => state === 'ACTIVE'))
      throw invalidRequest(`Cluster ${ClusterId} has no active HSM to initialize.`);
    const nowMs = time.nowMs();
    const trust = { certificate, trustAnchor };
    checkClusterTrust(trust, cluster.identity.clusterCsr, nowMs);
    const initializing = moveCluster(
      cluster,
      'INITIALIZE_IN_PROGRESS',
      nowMs,
      'Cluster is initializing. State will change to INITIALIZED upon completion.',
    );
    tx.put('cluster', { ...initializing, trust });
    return { State: initializing.state, StateMessage: initializing.stateMessage };
  });
