import { type ClusterMode, isClusterKind, noSuchKind } from '../../base/cluster-kind.js';
import { apiDeviations } from '../../objects/deviations.js';
import type { Allow } from '../../objects/gate.js';
import { invalidRequest, notFound, ServiceError } from '../service/errors.js';
import type { Input, Output } from '../service/operations.js';
import { retentionDays } from '../service/shapes.js';
import { mayRestore } from '../state/backups.js';
import type { Transaction } from '../state/catalogue.js';
import type { Operation, RequestContext } from '../state/context.js';
import { newId, newNetworkId } from '../state/ids.js';
import { mapSubnets } from '../state/placement.js';
import type { BackupRecord, ClusterRecord, Realm } from '../state/records.js';
import { backupArn, clusterView } from '../state/views.js';
import { isIn } from './finding.js';
import { checkHsmType } from './hsm-types.js';
import { daysOf } from './retention.js';
import { isSharedWith } from './sharing.js';
import { withTags } from './tagging.js';

type Asked = Input<'CreateCluster'>;

/** "Mode is required for all types but hsm1.medium", whose only mode is FIPS. */
function modeOf({ HsmType, Mode }: Asked): ClusterMode {
  if (Mode !== undefined) return Mode;
  if (HsmType !== 'hsm1.medium')
    // AWS's words (reference management-tools, section 0).
    throw invalidRequest('Mode is a required argument for this hsm type.');
  return 'FIPS';
}

/** The backup that the cluster begins with: the caller's own, or by its ARN one that is shared with the caller. */
function findSource(tx: Transaction, caller: Realm, idOrArn: string): BackupRecord {
  const backup = tx.get('backup', idOrArn.slice(idOrArn.lastIndexOf('/') + 1));
  const byArn = idOrArn.startsWith('arn:');
  const usable =
    backup !== undefined &&
    (!byArn || backupArn(backup) === idOrArn) &&
    (isIn(caller, backup) || (byArn && isSharedWith(backup, caller, 'cloudhsm:CreateCluster')));
  if (!usable) throw notFound(`Backup ${idOrArn}`);
  return backup;
}

function checkSource(backup: BackupRecord, asked: Asked, mode: ClusterMode): void {
  if (backup.state !== 'READY')
    throw invalidRequest(`Backup ${backup.id} is in state ${backup.state}: it must be READY.`);
  if (backup.mode !== mode)
    throw invalidRequest(`Backup ${backup.id} is of a ${backup.mode} cluster: it makes no ${mode} cluster.`);
  if (!mayRestore(backup, asked.HsmType as ClusterRecord['hsmType']))
    throw invalidRequest(`Backup ${backup.id} is of ${backup.hsmType}: ${asked.HsmType} does not take it.`);
}

function checkQuota(tx: Transaction, caller: Realm, most: number): void {
  const present = tx.all('cluster').filter((cluster) => isIn(caller, cluster) && cluster.state !== 'DELETED');
  if (present.length >= most)
    throw invalidRequest(`The account has ${present.length} clusters in ${caller.region}, its quota.`);
}

export const createCluster: Operation<'CreateCluster'> = async (input, caller, context) => {
  const { allow, settle } = context.gate.allowance('CreateCluster');
  const output = await context.catalogue.transaction((tx) => create(tx, input, caller, context, allow));
  settle();
  return output;
};

function create(
  tx: Transaction,
  input: Asked,
  caller: Realm,
  { settings, time }: RequestContext,
  allow: Allow,
): Output<'CreateCluster'> {
  const hsmType = checkHsmType(input.HsmType);
  const mode = modeOf(input);
  if (!isClusterKind({ hsmType, mode })) throw invalidRequest(noSuchKind);
  const networkType = input.NetworkType ?? 'IPV4';
  if (hsmType === 'hsm1.medium') {
    if (!settings.offerHsm1) throw invalidRequest(apiDeviations['hsm1-cluster'].words);
    allow('hsm1-cluster', 'HsmType hsm1.medium');
    if (networkType !== 'IPV4') throw invalidRequest('A cluster of hsm1.medium has network type IPV4.');
  }
  const source =
    input.SourceBackupId === undefined ? undefined : findSource(tx, caller, input.SourceBackupId);
  if (source !== undefined) checkSource(source, input, mode);
  const tags = tagsOf(input);
  checkQuota(tx, caller, settings.quotas.clusters);
  const nowMs = time.nowMs();
  const cluster: ClusterRecord = {
    ...caller,
    id: newId('cluster'),
    hsmType,
    mode,
    networkType,
    state: 'CREATE_IN_PROGRESS',
    stateSinceMs: nowMs,
    createdMs: nowMs,
    retentionDays: daysOf(input.BackupRetentionPolicy) ?? retentionDays.standard,
    ...mapSubnets(tx, caller, input.SubnetIds, networkType, settings),
    securityGroup: newNetworkId('sg'),
    sourceBackup: source?.id,
    trust: source?.trust,
    hsms: [],
    lastOrdinal: 0,
    tags,
  };
  tx.put('cluster', cluster);
  return { Cluster: clusterView(cluster, nowMs) };
}

/** CreateCluster has no error for too many tags but its own for tags. */
function tagsOf({ TagList = [] }: Asked): ClusterRecord['tags'] {
  try {
    return withTags([], TagList);
  } catch (error) {
    throw new ServiceError('CloudHsmTagException', (error as Error).message);
  }
}
