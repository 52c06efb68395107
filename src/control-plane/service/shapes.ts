import { clusterModes, hsmTypes } from '../../base/cluster-kind.js';
import { choice, flag, list, map, structure, text, time } from './shape.js';

/*
 * THE row per shape of the service: names, patterns and bounds as in the service model of 2017-04-28 and in the API
 * reference (reference section 3); structures as in section 4. A comment says where a bound comes from prose.
 */

const REGION = '[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-[0-9]';
const ARN_REGION = '[a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}-[0-9]{1}';
const ID_TAIL = '[2-7a-zA-Z]{11,16}';

export const clusterStates = [
  'CREATE_IN_PROGRESS',
  'UNINITIALIZED',
  'INITIALIZE_IN_PROGRESS',
  'INITIALIZED',
  'ACTIVE',
  'UPDATE_IN_PROGRESS',
  'MODIFY_IN_PROGRESS',
  'ROLLBACK_IN_PROGRESS',
  'DELETE_IN_PROGRESS',
  'DELETED',
  'DEGRADED',
] as const;
export type ClusterState = (typeof clusterStates)[number];

export const hsmStates = [
  'CREATE_IN_PROGRESS',
  'ACTIVE',
  'DEGRADED',
  'DELETE_IN_PROGRESS',
  'DELETED',
] as const;
export type HsmState = (typeof hsmStates)[number];

export const backupStates = ['CREATE_IN_PROGRESS', 'READY', 'DELETED', 'PENDING_DELETION'] as const;
export type BackupState = (typeof backupStates)[number];

/** Of a cluster's StateMessage. */
export const stateMessageLength = 300;

/** "7 to 379 days"; "90" when nothing is said. */
export const retentionDays = { min: 7, max: 379, standard: 90 } as const;

export const shapes = {
  ClusterId: text('cluster-igklspoyj5v', { pattern: `cluster-${ID_TAIL}` }),
  HsmId: text('hsm-lgavqitns2a', { pattern: `hsm-${ID_TAIL}` }),
  BackupId: text('backup-ro5c4er4aac', { pattern: `backup-${ID_TAIL}` }),
  BackupArn: text('arn:aws:cloudhsm:us-east-1:123456789012:backup/backup-ro5c4er4aac', {
    pattern: `(arn:aws(-(us-gov))?:cloudhsm:${ARN_REGION}:[0-9]{12}:backup/)?backup-${ID_TAIL}`,
  }),
  CloudHsmArn: text('arn:aws:cloudhsm:us-east-1:123456789012:backup/backup-ro5c4er4aac', {
    pattern: `arn:aws(-(us-gov))?:cloudhsm:${ARN_REGION}:[0-9]{12}:(backup/backup|cluster/cluster|hsm/hsm)-${ID_TAIL}`,
  }),
  /** HSMs have no tags. */
  ResourceId: text('cluster-igklspoyj5v', { pattern: `(?:cluster|backup)-${ID_TAIL}` }),
  HsmType: text('hsm2m.medium', { pattern: '(p|)hsm[0-9][a-z.]*\\.[a-zA-Z]+', maxLength: 32 }),
  SubnetId: text('subnet-0e358c43', { pattern: 'subnet-[0-9a-fA-F]{8,17}' }),
  EniId: text('eni-5d7ade72', { pattern: 'eni-[0-9a-fA-F]{8,17}' }),
  SecurityGroup: text('sg-6cb2c216', { pattern: 'sg-[0-9a-fA-F]{8,17}' }),
  /** The model's pattern allows one hexadecimal digit, which no VPC has. */
  VpcId: text('vpc-50ae0636', { pattern: 'vpc-[0-9a-fA-F]{8,17}' }),
  Region: text('us-west-2', { pattern: REGION }),
  ExternalAz: text('us-west-2a', { pattern: `${REGION}[a-z]` }),
  IpAddress: text('10.0.1.12', { pattern: '[0-9]{1,3}(\\.[0-9]{1,3}){3}' }),
  IpV6Address: text('fd00::1', { maxLength: 100 }),
  /** `+-/` is a range: PEM's dashes are in it, the colons of a text dump are not. */
  Cert: text('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n', {
    pattern: '[a-zA-Z0-9+-/=\\s]*',
    maxLength: 20000,
  }),
  BackupRetentionValue: text('90', {
    pattern: '[0-9]+',
    minLength: 1,
    maxLength: 3,
    number: { min: retentionDays.min, max: retentionDays.max },
  }),
  PreCoPassword: text('password', { minLength: 7, maxLength: 32 }),
  FilterName: text('clusterIds', { pattern: '[a-zA-Z0-9_-]+' }),
  FilterValue: text('cluster-igklspoyj5v'),
  TagKey: text('Name', {
    pattern: '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*',
    minLength: 1,
    maxLength: 128,
  }),
  TagValue: text('test', { pattern: '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*', maxLength: 256 }),
  ResourcePolicy: text('{}', { minLength: 1, maxLength: 20000 }),
  /** `.*`: no line ends. */
  NextToken: text('token', { pattern: '.*', maxLength: 256 }),
  StateMessage: text('The cluster is being deleted.', { maxLength: stateMessageLength }),
  HsmStateMessage: text('The HSM is being created.'),
  BackupPolicy: choice('DEFAULT'),
  BackupRetentionType: choice('DAYS'),
  ClusterMode: choice(...clusterModes),
  NetworkType: choice('IPV4', 'DUALSTACK'),
  ClusterState: choice(...clusterStates),
  HsmState: choice(...hsmStates),
  BackupState: choice(...backupStates),
} as const;

/** The types that can be created: the pattern of HsmType says nothing of them. */
export const offeredHsmTypes: readonly string[] = hsmTypes;

export const Tag = structure({ Key: shapes.TagKey, Value: shapes.TagValue }, {});
export const TagList = list(Tag, 1, 50);
export const TagKeyList = list(shapes.TagKey, 1, 50);
export const SubnetIds = list(shapes.SubnetId, 1, 10);
export const Filters = map(shapes.FilterName, list(shapes.FilterValue), 30);

export const BackupRetentionPolicy = structure(
  {},
  { Type: shapes.BackupRetentionType, Value: shapes.BackupRetentionValue },
);

export const Certificates = structure(
  {},
  {
    ClusterCsr: shapes.Cert,
    HsmCertificate: shapes.Cert,
    AwsHardwareCertificate: shapes.Cert,
    ManufacturerHardwareCertificate: shapes.Cert,
    ClusterCertificate: shapes.Cert,
  },
);

export const Hsm = structure(
  { HsmId: shapes.HsmId },
  {
    AvailabilityZone: shapes.ExternalAz,
    ClusterId: shapes.ClusterId,
    SubnetId: shapes.SubnetId,
    EniId: shapes.EniId,
    EniIp: shapes.IpAddress,
    EniIpV6: shapes.IpV6Address,
    HsmType: shapes.HsmType,
    State: shapes.HsmState,
    StateMessage: shapes.HsmStateMessage,
  },
);

export const Cluster = structure(
  {},
  {
    BackupPolicy: shapes.BackupPolicy,
    BackupRetentionPolicy,
    ClusterId: shapes.ClusterId,
    CreateTimestamp: time,
    Hsms: list(Hsm),
    HsmType: shapes.HsmType,
    HsmTypeRollbackExpiration: time,
    PreCoPassword: shapes.PreCoPassword,
    SecurityGroup: shapes.SecurityGroup,
    SourceBackupId: shapes.BackupId,
    State: shapes.ClusterState,
    StateMessage: shapes.StateMessage,
    SubnetMapping: map(shapes.ExternalAz, shapes.SubnetId),
    VpcId: shapes.VpcId,
    NetworkType: shapes.NetworkType,
    Certificates,
    TagList,
    Mode: shapes.ClusterMode,
  },
);

export const Backup = structure(
  { BackupId: shapes.BackupId },
  {
    BackupArn: shapes.CloudHsmArn,
    BackupState: shapes.BackupState,
    ClusterId: shapes.ClusterId,
    CreateTimestamp: time,
    CopyTimestamp: time,
    NeverExpires: flag,
    SourceRegion: shapes.Region,
    SourceBackup: shapes.BackupId,
    SourceCluster: shapes.ClusterId,
    DeleteTimestamp: time,
    TagList,
    HsmType: shapes.HsmType,
    Mode: shapes.ClusterMode,
  },
);

export const DestinationBackup = structure(
  {},
  {
    CreateTimestamp: time,
    SourceRegion: shapes.Region,
    SourceBackup: shapes.BackupId,
    SourceCluster: shapes.ClusterId,
  },
);
