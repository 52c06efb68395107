import type { ModelledError } from './errors.js';
import { type AnyStructure, flag, integer, list, structure, type ValueOf } from './shape.js';
import {
  Backup,
  BackupRetentionPolicy,
  Cluster,
  DestinationBackup,
  Filters,
  Hsm,
  SubnetIds,
  shapes,
  TagKeyList,
  TagList,
} from './shapes.js';

/** How the service is called: AWS JSON 1.1 (reference section 1). */
export const service = {
  targetPrefix: 'BaldrApiService',
  contentType: 'application/x-amz-json-1.1',
  /** What requests are signed for, though the host begins with cloudhsmv2. */
  signingName: 'cloudhsm',
} as const;

interface OperationRow {
  readonly input: AnyStructure;
  readonly output: AnyStructure;
  readonly errors: readonly ModelledError[];
}

const common = [
  'CloudHsmAccessDeniedException',
  'CloudHsmInternalFailureException',
  'CloudHsmInvalidRequestException',
  'CloudHsmServiceException',
] as const;
const notFound = 'CloudHsmResourceNotFoundException';
const tag = 'CloudHsmTagException';

const { ClusterId, BackupId, HsmId, EniId, IpAddress, NextToken, CloudHsmArn, ResourcePolicy, ResourceId } =
  shapes;

/** THE row per operation: members, which of them are required, and errors (reference section 5 and 2.2). */
export const operations = {
  CopyBackupToRegion: {
    input: structure({ DestinationRegion: shapes.Region, BackupId }, { TagList }),
    output: structure({}, { DestinationBackup }),
    errors: [...common, notFound, tag],
  },
  CreateCluster: {
    input: structure(
      { HsmType: shapes.HsmType, SubnetIds },
      {
        BackupRetentionPolicy,
        SourceBackupId: shapes.BackupArn,
        NetworkType: shapes.NetworkType,
        TagList,
        Mode: shapes.ClusterMode,
      },
    ),
    output: structure({}, { Cluster }),
    errors: [...common, notFound, tag],
  },
  CreateHsm: {
    input: structure({ ClusterId, AvailabilityZone: shapes.ExternalAz }, { IpAddress }),
    output: structure({}, { Hsm }),
    errors: [...common, notFound],
  },
  DeleteBackup: {
    input: structure({ BackupId }, {}),
    output: structure({}, { Backup }),
    errors: [...common, notFound],
  },
  DeleteCluster: {
    input: structure({ ClusterId }, {}),
    output: structure({}, { Cluster }),
    errors: [...common, notFound, tag],
  },
  DeleteHsm: {
    input: structure({ ClusterId }, { HsmId, EniId, EniIp: IpAddress }),
    output: structure({}, { HsmId }),
    errors: [...common, notFound],
  },
  DeleteResourcePolicy: {
    input: structure({}, { ResourceArn: CloudHsmArn }),
    output: structure({}, { ResourceArn: CloudHsmArn, Policy: ResourcePolicy }),
    errors: [...common, notFound],
  },
  DescribeBackups: {
    input: structure(
      {},
      { NextToken, MaxResults: integer(1, 50), Filters, Shared: flag, SortAscending: flag },
    ),
    output: structure({}, { Backups: list(Backup), NextToken }),
    errors: [...common, notFound, tag],
  },
  DescribeClusters: {
    input: structure({}, { Filters, NextToken, MaxResults: integer(1, 25) }),
    output: structure({}, { Clusters: list(Cluster), NextToken }),
    errors: [...common, tag],
  },
  GetResourcePolicy: {
    input: structure({}, { ResourceArn: CloudHsmArn }),
    output: structure({}, { Policy: ResourcePolicy }),
    errors: [...common, notFound],
  },
  InitializeCluster: {
    input: structure({ ClusterId, SignedCert: shapes.Cert, TrustAnchor: shapes.Cert }, {}),
    output: structure({}, { State: shapes.ClusterState, StateMessage: shapes.StateMessage }),
    errors: [...common, notFound],
  },
  ListTags: {
    input: structure({ ResourceId }, { NextToken, MaxResults: integer(1, 100) }),
    output: structure({ TagList: list(TagList.of, 0, 50) }, { NextToken }),
    errors: [...common, notFound, tag],
  },
  ModifyBackupAttributes: {
    input: structure({ BackupId, NeverExpires: flag }, {}),
    output: structure({}, { Backup }),
    errors: [...common, notFound],
  },
  ModifyCluster: {
    input: structure({ ClusterId }, { BackupRetentionPolicy, HsmType: shapes.HsmType }),
    output: structure({}, { Cluster }),
    errors: [...common, notFound],
  },
  PutResourcePolicy: {
    input: structure({}, { ResourceArn: CloudHsmArn, Policy: ResourcePolicy }),
    output: structure({}, { ResourceArn: CloudHsmArn, Policy: ResourcePolicy }),
    errors: [...common, notFound],
  },
  RestoreBackup: {
    input: structure({ BackupId }, {}),
    output: structure({}, { Backup }),
    errors: [...common, notFound],
  },
  TagResource: {
    input: structure({ ResourceId, TagList }, {}),
    output: structure({}, {}),
    errors: [...common, notFound, tag, 'CloudHsmResourceLimitExceededException'],
  },
  UntagResource: {
    input: structure({ ResourceId, TagKeyList }, {}),
    output: structure({}, {}),
    errors: [...common, notFound, tag],
  },
} as const satisfies Record<string, OperationRow>;

export type OperationName = keyof typeof operations;
export type Input<N extends OperationName> = ValueOf<(typeof operations)[N]['input']>;
export type Output<N extends OperationName> = ValueOf<(typeof operations)[N]['output']>;

export const isOperationName = (name: string): name is OperationName => Object.hasOwn(operations, name);
