import { limits } from '../../base/limits.js';
import { withNewHsm } from '../jobs/hsm-records.js';
import { invalidRequest } from '../service/errors.js';
import { chooseContent } from '../state/backups.js';
import type { Transaction } from '../state/catalogue.js';
import type { Operation } from '../state/context.js';
import { newNetworkId } from '../state/ids.js';
import { chooseAddress, ipV6Of } from '../state/placement.js';
import type { ClusterRecord, Realm } from '../state/records.js';
import { hsmView } from '../state/views.js';
import { findCluster, isIn, requireState } from './finding.js';

/** The first HSM comes before initialisation, the second after activation (reference section 5). */
function checkState(cluster: ClusterRecord): void {
  const isBeforeActivation = ['UNINITIALIZED', 'INITIALIZE_IN_PROGRESS', 'INITIALIZED'].includes(
    cluster.state,
  );
  if (isBeforeActivation && cluster.hsms.length > 0)
    throw invalidRequest(
      `Cluster '${cluster.id}' already contains an HSM but has not yet been fully activated`,
    );
  requireState('Cluster', cluster, 'UNINITIALIZED', 'ACTIVE', 'DEGRADED');
}

function checkQuotas(tx: Transaction, caller: Realm, cluster: ClusterRecord, most: number): void {
  if (cluster.hsms.length >= limits.hsmsPerCluster)
    throw invalidRequest(`Cluster ${cluster.id} has ${limits.hsmsPerCluster} HSMs: there can be no more.`);
  const present = tx
    .all('cluster')
    .filter((other) => isIn(caller, other))
    .reduce((count, { hsms }) => count + hsms.length, 0);
  if (present >= most)
    throw invalidRequest(`The account has ${present} HSMs in ${caller.region}, its quota.`);
}

export const createHsm: Operation<'CreateHsm'> = (input, caller, { catalogue, settings, time }) =>
  catalogue.transaction((tx) => {
    const { ClusterId, AvailabilityZone: availabilityZone, IpAddress } = input;
    const cluster = findCluster(tx, caller, ClusterId);
    checkState(cluster);
    const subnetId = cluster.subnets[availabilityZone];
    if (subnetId === undefined)
      throw invalidRequest(
        `Cluster ${ClusterId} has no subnet in ${availabilityZone}: use ${Object.keys(cluster.subnets).join(', ')}.`,
      );
    checkQuotas(tx, caller, cluster, settings.quotas.hsms);
    const eniIp = chooseAddress(tx, caller, subnetId, IpAddress, settings);
    const nowMs = time.nowMs();
    const { cluster: prepared, backupId } =
      cluster.state === 'UNINITIALIZED'
        ? { cluster, backupId: undefined }
        : chooseContent(tx, cluster, nowMs);
    if (cluster.state !== 'UNINITIALIZED' && backupId === undefined)
      throw invalidRequest(`Cluster ${ClusterId} has no backup that an HSM could begin with.`);
    const eniIpV6 =
      cluster.networkType === 'DUALSTACK' ? ipV6Of(tx, caller, subnetId, eniIp, settings) : undefined;
    const place = { availabilityZone, subnetId, eniId: newNetworkId('eni'), eniIp, eniIpV6 };
    const created = withNewHsm(prepared, { ...place, restoreFrom: backupId }, nowMs);
    tx.put('cluster', created.cluster);
    return { Hsm: hsmView(created.hsm, created.cluster) };
  });
