import { statSync } from 'node:fs';
import * as z from 'zod';
import { clusterModes, hsmTypes, isClusterKind, noSuchKind } from './cluster-kind.js';
import { commandFailure, describeIssues } from './errors.js';
import { readFileIfPresent } from './files.js';
import { limits } from './limits.js';
import { logLevels } from './log.js';

const accountId = z.string().regex(/^\d{12}$/, 'twelve digits');

const controlPlaneSchema = z.strictObject({
  /** false: there is no API. */
  enabled: z.boolean().optional(),
  host: z.string().optional(),
  /** Any that is free, and the same again the next time. */
  port: z.number().int().min(0).max(65_535).optional(),
  /** States last as long as on AWS. */
  awsTiming: z.boolean().optional(),
  /** AWS makes no clusters of hsm1.medium any more. */
  offerHsm1: z.boolean().optional(),
  quotas: z.strictObject({ clusters: z.number().int().min(1), hsms: z.number().int().min(1) }).optional(),
  /** Where subnets are, by id. */
  subnets: z
    .record(
      z.string(),
      z.strictObject({
        vpcId: z.string(),
        availabilityZone: z.string(),
        cidr: z.string().regex(/^\d+(\.\d+){3}\/(1[6-9]|2[0-8])$/, 'as in 127.20.1.0/24'),
        /** For clusters of network type DUALSTACK. */
        ipv6Cidr: z
          .string()
          .regex(/^([0-9a-f]{1,4}:){1,4}:\/64$/, 'as in 2001:db8:1:2::/64')
          .optional(),
      }),
    )
    .optional(),
  /** strict: signatures are checked, with these keys. */
  signatures: z.enum(['lenient', 'strict']).optional(),
  /** By access key id. */
  accessKeys: z
    .record(
      z.string(),
      z.strictObject({
        secretAccessKey: z.string(),
        account: accountId,
        sessionToken: z.string().optional(),
      }),
    )
    .optional(),
  defaultAccount: accountId.optional(),
  defaultRegion: z.string().optional(),
});

/** The settings of an engine: `--config FILE` (JSON), and the command line above it. */
export const configSchema = z
  .object({
    hsms: z.number().int().min(1).max(limits.hsmsPerCluster).default(2),
    profile: z.enum(['strict', 'compatible']).default('compatible'),
    hsmType: z.enum(hsmTypes).default('hsm2m.medium'),
    mode: z.enum(clusterModes).default('FIPS'),
    /** false: a new cluster is as AWS hands it over, its first admin has yet to get a password (`cluster activate`). */
    activated: z.boolean().optional(),
    /** How many keys the cluster holds, instead of CloudHSM's quota. */
    keyQuota: z.number().int().min(1).max(10_000_000).optional(),
    /** How many commands of programs an HSM does in a second; beyond it answers that it is busy, as CloudHSM's do. All, without it. */
    commandsPerSecond: z.number().int().min(1).max(1_000_000).optional(),
    /** Certificates as objects, which CloudHSM has on hsm2m.medium and only when told so. */
    certificateStorage: z.boolean().optional(),
    /** The first three numbers of the HSMs' ENI addresses, instead of 127.x.y chosen by the cluster's id. */
    eniNetwork: z
      .string()
      .regex(/^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){2}$/, 'three numbers, as in 127.20.1')
      .optional(),
    /** Where HSMs listen: "daemon 2223, CMU 2225 (security group opens 2223-2225)" (tools reference, section 0). Clients are
     * told the first one. */
    hsmPorts: z.array(z.number().int().min(1).max(65_535)).min(1).max(8).default([2223, 2224, 2225]),
    /** ECDH gives the shared secret itself (CKD_NULL), which CloudHSM does in NON_FIPS mode and only when told so. */
    ecdhWithoutKdf: z.boolean().optional(),
    /** Token keys must be on two HSMs; without it, as CloudHSM has it in the profile `strict`. */
    keyAvailabilityCheck: z.boolean().optional(),
    /** HSMs of the API's clusters run in processes of their own. */
    hsmProcesses: z.boolean().default(false),
    /** The cloudhsmv2 API (docs/CONTROL-PLANE.md). */
    controlPlane: controlPlaneSchema.default({}),
    /** Where backups are kept (docs/BACKUP.md). */
    backups: z.record(z.string(), z.unknown()).default({}),
    logLevel: z.enum(logLevels).default('info'),
  })
  .strict()
  .refine(isClusterKind, { path: ['mode'], error: noSuchKind });

export type Config = z.infer<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;

/** Throws BAD_CONFIGURATION, naming the setting and what it may be. */
function parse(input: unknown, where: string): Config {
  const result = configSchema.safeParse(input);
  if (result.success) return result.data;
  throw commandFailure(
    'BAD_CONFIGURATION',
    `${where} cannot be used: ${describeIssues(result.error.issues)}`,
  );
}

/** The settings, and those of them that somebody has stated. */
export interface LoadedConfig {
  readonly config: Config;
  readonly stated: Partial<Config>;
}

/** The settings from a file, if one is named, with `overrides` above them. Throws BAD_CONFIGURATION. */
export function loadConfig(file: string | undefined, overrides: ConfigInput): LoadedConfig {
  const stated = { ...(file === undefined ? {} : readConfigFile(file)), ...overrides };
  return { config: parse(stated, file === undefined ? 'the command line' : file), stated };
}

function readConfigFile(file: string): object {
  const status = statSync(file, { throwIfNoEntry: false });
  if (status !== undefined && !status.isFile() && !status.isFIFO())
    throw commandFailure('BAD_CONFIGURATION', `${file} is no file`);
  const contents = readFileIfPresent(file);
  if (contents === undefined)
    throw commandFailure('BAD_CONFIGURATION', `there is no configuration file ${file}`);
  let settings: unknown;
  try {
    settings = JSON.parse(contents.toString('utf8'));
  } catch (error) {
    throw commandFailure('BAD_CONFIGURATION', `${file} is not JSON`, error);
  }
  parse(settings, file);
  return settings as object;
}
