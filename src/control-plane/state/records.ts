import * as z from 'zod';
import { clusterModes, hsmTypes } from '../../base/cluster-kind.js';
import { backupStates, clusterStates, hsmStates } from '../service/shapes.js';

/*
 * What the catalogue keeps, one JSON record per cluster (its HSMs inside), backup, subnet and setting. Times are
 * milliseconds since 1970. docs/CONTROL-PLANE.md draws the states.
 */

/** Whose and where: each account has stores of its own in each region. */
const realm = { account: z.string(), region: z.string() };

const tag = z.object({
  key: z.string(),
  value: z.string(),
  /** Grows with each new key: lists are in this order, and pages of a list go on behind it. */
  ordinal: z.number().int(),
});
export type TagRecord = z.infer<typeof tag>;

const hsm = z.object({
  id: z.string(),
  ordinal: z.number().int().min(1).max(63),
  hsmType: z.enum(hsmTypes),
  state: z.enum(hsmStates),
  stateSinceMs: z.number(),
  stateMessage: z.string().optional(),
  availabilityZone: z.string(),
  subnetId: z.string(),
  eniId: z.string(),
  eniIp: z.string(),
  eniIpV6: z.string().optional(),
  /** While it is made: the backup whose content it gets; none for a new cluster's first. */
  restoreFrom: z.string().optional(),
  /** The HSM whose ENI it takes over: that one goes first. */
  replaces: z.string().optional(),
  /** It has failed, and what it keeps is not thrown away with it. */
  setsAside: z.boolean().optional(),
});
export type HsmRecord = z.infer<typeof hsm>;

const identity = z.object({
  clusterCsr: z.string(),
  hsmCertificate: z.string(),
  awsHardwareCertificate: z.string(),
  manufacturerHardwareCertificate: z.string(),
});

const trust = z.object({ certificate: z.string(), trustAnchor: z.string() });

export const clusterSchema = z.object({
  ...realm,
  id: z.string(),
  hsmType: z.enum(hsmTypes),
  mode: z.enum(clusterModes),
  networkType: z.enum(['IPV4', 'DUALSTACK']),
  state: z.enum(clusterStates),
  stateSinceMs: z.number(),
  stateMessage: z.string().optional(),
  createdMs: z.number(),
  retentionDays: z.number().int(),
  vpcId: z.string(),
  /** Availability zone → subnet. */
  subnets: z.record(z.string(), z.string()),
  securityGroup: z.string(),
  sourceBackup: z.string().optional(),
  /** What the first HSM shows until the cluster is initialised. */
  identity: identity.optional(),
  /** From InitializeCluster on, or from the source backup. */
  trust: trust.optional(),
  hsms: z.array(hsm),
  lastOrdinal: z.number().int(),
  tags: z.array(tag),
  /** When the last backup was begun, or the cluster activated. */
  lastBackupMs: z.number().optional(),
  /** When a client logged in last, or an hour earlier. */
  lastUsedMs: z.number().optional(),
  /** After a change of the type of HSM: until when, to what and with which backup it can be taken back. */
  rollback: z
    .object({ untilMs: z.number(), hsmType: z.enum(hsmTypes), backup: z.string().optional() })
    .optional(),
});
export type ClusterRecord = z.infer<typeof clusterSchema>;

export const backupSchema = z.object({
  ...realm,
  id: z.string(),
  state: z.enum(backupStates),
  stateSinceMs: z.number(),
  clusterId: z.string(),
  hsmType: z.enum(hsmTypes),
  mode: z.enum(clusterModes),
  /** Of a copy: its source's. */
  createdMs: z.number(),
  neverExpires: z.boolean(),
  deleteAtMs: z.number().optional(),
  trust: trust.optional(),
  /** The HSM that it is, or was, taken of. */
  fromHsm: z.string().optional(),
  copy: z
    .object({
      copiedMs: z.number(),
      sourceRegion: z.string(),
      sourceBackup: z.string(),
      sourceCluster: z.string(),
    })
    .optional(),
  policy: z.string().optional(),
  /** Its container is gone from the archive. */
  purged: z.boolean().optional(),
  tags: z.array(tag),
});
export type BackupRecord = z.infer<typeof backupSchema>;

/** Where a subnet is that nobody has described: decided when it is first heard of. */
export const subnetSchema = z.object({
  ...realm,
  id: z.string(),
  vpcId: z.string(),
  availabilityZone: z.string(),
  cidr: z.string(),
});

export const settingSchema = z.object({ id: z.string(), value: z.string() });

export const recordSchemas = {
  cluster: clusterSchema,
  backup: backupSchema,
  subnet: subnetSchema,
  setting: settingSchema,
} as const;
export type RecordKind = keyof typeof recordSchemas;
export type RecordOf<K extends RecordKind> = Readonly<z.infer<(typeof recordSchemas)[K]>>;

export interface Realm {
  readonly account: string;
  readonly region: string;
}
