import type { ValueOf } from '../service/shape.js';
import type { Backup, Cluster, Hsm, Tag } from '../service/shapes.js';
import type { BackupRecord, ClusterRecord, HsmRecord, TagRecord } from './records.js';

/*
 * Records as clients see them (reference section 4): members that have no value are left out, times are seconds.
 */

const seconds = (ms: number): number => Math.round(ms) / 1000;

export const tagsView = (tags: readonly TagRecord[]): ValueOf<typeof Tag>[] =>
  tags.map(({ key, value }) => ({ Key: key, Value: value }));

const tagList = (tags: readonly TagRecord[]): ValueOf<typeof Tag>[] | undefined =>
  tags.length === 0 ? undefined : tagsView(tags);

export function hsmView(hsm: HsmRecord, { id }: ClusterRecord): ValueOf<typeof Hsm> {
  return {
    HsmId: hsm.id,
    AvailabilityZone: hsm.availabilityZone,
    ClusterId: id,
    SubnetId: hsm.subnetId,
    EniId: hsm.eniId,
    EniIp: hsm.eniIp,
    EniIpV6: hsm.eniIpV6,
    HsmType: hsm.hsmType,
    State: hsm.state,
    StateMessage: hsm.stateMessage,
  };
}

/** An HSM shows who it is until its cluster has an owner; then the cluster shows its certificate (section 7.1). */
function certificatesView({
  state,
  identity,
  trust,
}: ClusterRecord): ValueOf<typeof Cluster>['Certificates'] {
  if (trust !== undefined) return { ClusterCertificate: trust.certificate };
  if (state !== 'UNINITIALIZED' || identity === undefined) return {};
  return {
    ClusterCsr: identity.clusterCsr,
    HsmCertificate: identity.hsmCertificate,
    AwsHardwareCertificate: identity.awsHardwareCertificate,
    ManufacturerHardwareCertificate: identity.manufacturerHardwareCertificate,
  };
}

export function clusterView(cluster: ClusterRecord, nowMs: number): ValueOf<typeof Cluster> {
  const { rollback } = cluster;
  return {
    BackupPolicy: 'DEFAULT',
    BackupRetentionPolicy: { Type: 'DAYS', Value: String(cluster.retentionDays) },
    ClusterId: cluster.id,
    CreateTimestamp: seconds(cluster.createdMs),
    Hsms: cluster.hsms.map((hsm) => hsmView(hsm, cluster)),
    HsmType: cluster.hsmType,
    HsmTypeRollbackExpiration:
      rollback !== undefined && rollback.untilMs > nowMs ? seconds(rollback.untilMs) : undefined,
    SecurityGroup: cluster.state === 'CREATE_IN_PROGRESS' ? undefined : cluster.securityGroup,
    SourceBackupId: cluster.sourceBackup,
    State: cluster.state,
    StateMessage: cluster.stateMessage,
    SubnetMapping: cluster.subnets,
    VpcId: cluster.vpcId,
    NetworkType: cluster.networkType,
    Certificates: certificatesView(cluster),
    TagList: tagList(cluster.tags),
    Mode: cluster.mode,
  };
}

const partitions = { 'us-gov-': 'aws-us-gov', 'cn-': 'aws-cn' } as const;
const partitionOf = (region: string): string =>
  Object.entries(partitions).find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';

export const backupArn = ({ account, region, id }: BackupRecord): string =>
  `arn:${partitionOf(region)}:cloudhsm:${region}:${account}:backup/${id}`;

export { partitionOf };

export function backupView(backup: BackupRecord): ValueOf<typeof Backup> {
  const { copy, deleteAtMs } = backup;
  return {
    BackupId: backup.id,
    BackupArn: backupArn(backup),
    BackupState: backup.state,
    ClusterId: backup.clusterId,
    CreateTimestamp: seconds(backup.createdMs),
    CopyTimestamp: copy === undefined ? undefined : seconds(copy.copiedMs),
    NeverExpires: backup.neverExpires,
    SourceRegion: copy?.sourceRegion,
    SourceBackup: copy?.sourceBackup,
    SourceCluster: copy?.sourceCluster,
    DeleteTimestamp: deleteAtMs === undefined ? undefined : seconds(deleteAtMs),
    TagList: tagList(backup.tags),
    HsmType: backup.hsmType,
    Mode: backup.mode,
  };
}
