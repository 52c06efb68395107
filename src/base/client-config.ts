import * as z from 'zod';
import { commandFailure } from './errors.js';
import { readForeignFile, writePrivateFile } from './files.js';
import { limits } from './limits.js';

/*
 * cloudhsm-pkcs11.cfg, the file that CloudHSM's library reads in C_Initialize and `configure-pkcs11` writes
 * (reference 2.2). Fields that are not here are kept and have no effect.
 */

/** Names that are not public: ours, after the options of configure-pkcs11 (reference 2.1 and 2.2) [guess]. */
const ownOptions = {
  disable_validate_key_at_init: z.boolean().optional(),
  default_retry_mode: z.enum(['off', 'standard']).optional(),
  enable_certificate_storage: z.boolean().optional(),
  enable_ecdh_without_kdf: z.boolean().optional(),
};
const ownClusterFields = {
  client_cert_hsm_tls_file: z.string().optional(),
  client_key_hsm_tls_file: z.string().optional(),
};
const ownFields = {
  /** The engine's socket: the one field that our module reads itself (native/pkcs11/config.c). */
  socket: z.string().optional(),
};

const serverSchema = z.looseObject({
  // What an unconfigured file has is "%%HSM_IP_ADDRESS%%" (tools reference 3.3).
  hostname: z.string().refine((name) => !name.includes('%%'), 'Config key hostname has invalid value'),
  port: z.number().int().min(1).max(65_535).optional(),
  enable: z.boolean().optional(),
});

const clusterSchema = z.looseObject({
  client_cert_path: z.string().optional(),
  client_key_path: z.string().optional(),
  hsm_ca_file: z.string().optional(),
  cluster_id: z.string().optional(),
  servers: z.array(serverSchema).max(limits.hsmsPerCluster).optional(),
  options: z
    .looseObject({ disable_key_availability_check: z.boolean().optional(), ...ownOptions })
    .optional(),
  ...ownClusterFields,
});

export const libraryLogLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LibraryLogLevel = (typeof libraryLogLevels)[number];
export const logIntervals = ['never', 'hourly', 'daily', 'weekly'] as const;
export type LogInterval = (typeof logIntervals)[number];

const loggingSchema = z.looseObject({
  log_type: z.enum(['file', 'term']).optional(),
  log_file: z
    .string()
    .startsWith('/', 'must be an absolute path: the engine writes it, from another folder')
    .optional(),
  log_level: z.enum(libraryLogLevels).optional(),
  log_interval: z.enum(logIntervals).optional(),
});

export const clientConfigSchema = z.looseObject({
  clusters: z
    .array(z.looseObject({ type: z.string().optional(), cluster: clusterSchema }))
    .max(limits.clusters)
    .optional(),
  logging: loggingSchema.optional(),
  ...ownFields,
});

export type ClientConfig = z.infer<typeof clientConfigSchema>;
export type ClientClusterConfig = z.infer<typeof clusterSchema>;

export interface ClientConfigFile {
  readonly file: string;
  readonly config: ClientConfig;
}

export function unusableConfig(file: string, why: string): Error {
  return commandFailure('BAD_CONFIGURATION', `${file} cannot be used: ${why}`);
}

/** Reads a cloudhsm-pkcs11.cfg; undefined if there is none. Throws BAD_CONFIGURATION, naming the field. */
export function readClientConfig(file: string): ClientConfigFile | undefined {
  const unusable = (why: string): Error => unusableConfig(file, why);
  let contents: Buffer | undefined;
  try {
    contents = readForeignFile(file, limits.configurationBytes);
  } catch (error) {
    throw unusable(error instanceof Error ? error.message : String(error));
  }
  if (contents === undefined) return undefined;
  let fields: unknown;
  try {
    fields = JSON.parse(contents.toString('utf8'));
  } catch {
    // The parser's message would quote the file.
    throw unusable('it is not JSON');
  }
  const result = clientConfigSchema.safeParse(fields);
  if (result.success) return { file, config: result.data };
  const problems = result.error.issues.map(({ path, message }) => `${pathText(path) || 'it'}: ${message}`);
  throw unusable(problems.join('; '));
}

/** What an application's configuration says of one of its clusters. */
export interface LibraryOptions {
  /** undefined: it does not say. */
  readonly keyAvailabilityCheck: boolean | undefined;
  readonly validateKeyAtInit: boolean;
  /** Whether a busy HSM is asked again. undefined: it does not say. */
  readonly retries: boolean | undefined;
  /** What the HSM is told in place of its own settings; undefined: the file does not say. */
  readonly switches: {
    readonly certificateStorage: boolean | undefined;
    readonly ecdhWithoutKdf: boolean | undefined;
  };
}

/** The options of a cluster, or what they are where nothing is configured (reference 2.1). */
export function libraryOptions(cluster: ClientClusterConfig | undefined): LibraryOptions {
  const options = cluster?.options;
  const unchecked = options?.disable_key_availability_check;
  const mode = options?.default_retry_mode;
  return {
    keyAvailabilityCheck: unchecked === undefined ? undefined : !unchecked,
    validateKeyAtInit: options?.disable_validate_key_at_init !== true,
    retries: mode === undefined ? undefined : mode === 'standard',
    switches: {
      certificateStorage: options?.enable_certificate_storage,
      ecdhWithoutKdf: options?.enable_ecdh_without_kdf,
    },
  };
}

/** Writes a cloudhsm-pkcs11.cfg, with the fields that this program does not know, in one piece. */
export function writeClientConfig({ file, config }: ClientConfigFile): void {
  writePrivateFile(file, `${JSON.stringify(clientConfigSchema.parse(config), null, 2)}\n`);
}

/** `clusters[0].cluster.options`. */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}

/** The fields that this program does not know, and that are no comments: a comment's name begins with `//`. */
export function unknownFields(config: ClientConfig): string[] {
  return collectUnknown(clientConfigSchema, config, []);
}

function collectUnknown(schema: unknown, value: unknown, path: readonly (string | number)[]): string[] {
  if (value === undefined) return [];
  if (schema instanceof z.ZodOptional) return collectUnknown(schema.unwrap(), value, path);
  if (schema instanceof z.ZodArray) {
    return (value as unknown[]).flatMap((entry, at) => collectUnknown(schema.element, entry, [...path, at]));
  }
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(value as object).flatMap(([name, field]) => {
    if (Object.hasOwn(schema.shape, name)) return collectUnknown(schema.shape[name], field, [...path, name]);
    return name.startsWith('//') ? [] : [pathText([...path, name])];
  });
}
