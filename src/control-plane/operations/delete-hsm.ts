import { invalidRequest, notFound } from '../service/errors.js';
import type { Input } from '../service/operations.js';
import { beginBackup } from '../state/backups.js';
import type { Operation } from '../state/context.js';
import { moveHsm, withHsm } from '../state/lifecycles.js';
import type { ClusterRecord, HsmRecord } from '../state/records.js';
import { findCluster, requireState } from './finding.js';

/** The HSM that the request names in one or more of three ways, which must agree. */
function findHsm(cluster: ClusterRecord, { HsmId, EniId, EniIp }: Input<'DeleteHsm'>): HsmRecord {
  const ways: ((hsm: HsmRecord) => boolean)[] = [];
  if (HsmId !== undefined) ways.push(({ id }) => id === HsmId);
  if (EniId !== undefined) ways.push(({ eniId }) => eniId === EniId);
  if (EniIp !== undefined) ways.push(({ eniIp }) => eniIp === EniIp);
  if (ways.length === 0) throw invalidRequest('Name the HSM: one of HsmId, EniId and EniIp is needed.');
  const named = ways.map((way) => cluster.hsms.filter(way));
  if (named.every((hsms) => hsms.length === 0))
    throw notFound(`HSM ${HsmId ?? EniId ?? EniIp} of cluster ${cluster.id}`);
  // While an HSM is replaced two have the same ENI: the one that stays is meant.
  const agreed = cluster.hsms.filter((hsm) => ways.every((way) => way(hsm)));
  const hsm = agreed.find(({ state }) => state !== 'DELETE_IN_PROGRESS') ?? agreed[0];
  if (hsm === undefined) throw invalidRequest('HsmId, EniId and EniIp name different HSMs.');
  return hsm;
}

/** A backup is taken before the HSM goes. A cluster that is left without HSMs stays as it is. */
export const deleteHsm: Operation<'DeleteHsm'> = (input, caller, { catalogue, time }) =>
  catalogue.transaction((tx) => {
    const cluster = findCluster(tx, caller, input.ClusterId);
    const hsm = findHsm(cluster, input);
    requireState('Cluster', cluster, 'UNINITIALIZED', 'INITIALIZED', 'ACTIVE', 'DEGRADED');
    if (hsm.state === 'DELETE_IN_PROGRESS') throw invalidRequest(`HSM ${hsm.id} is being deleted already.`);
    const nowMs = time.nowMs();
    const backedUp =
      cluster.state === 'ACTIVE' && hsm.state === 'ACTIVE'
        ? beginBackup(tx, cluster, hsm, nowMs).cluster
        : cluster;
    tx.put('cluster', withHsm(backedUp, moveHsm(hsm, 'DELETE_IN_PROGRESS', nowMs)));
    return { HsmId: hsm.id };
  });
