import { dirname, join } from 'node:path';
import * as z from 'zod';
import { type ClientClusterConfig, readClientConfig } from '../../base/client-config.js';
import { describeIssues } from '../../base/errors.js';
import { limits } from '../../base/limits.js';
import type { HsmEndpoint } from '../../cluster/tls-connection.js';
import { refused } from '../failure.js';
import { type IdentityFiles, readNamedFile } from './identity.js';

/*
 * Where a tool finds its cluster: the configuration files of both generations (reference management-tools, section 3). Files that a
 * configuration does not name are where the packages put them, beside it: customerCA.crt, client.crt, client.key.
 */

/** An HSM as a file names it. */
export interface NamedServer extends HsmEndpoint {
  readonly name: string;
}

export interface ClusterAccess {
  readonly clusterId?: string | undefined;
  readonly servers: readonly NamedServer[];
  readonly identity: IdentityFiles;
  /** "A key must be on at least 2 HSMs before any use" (section 7.1). */
  readonly availabilityCheck: boolean;
  /** Whether a busy HSM is asked again. */
  readonly retries: boolean;
}

/** "HSM ports: daemon 2223, CMU 2225" (section 0). */
export const CLIENT_PORT = 2223;
export const MANAGEMENT_PORT = 2225;

function packagedFiles(configFile: string): IdentityFiles {
  const etc = dirname(configFile);
  return {
    certificate: join(etc, 'client.crt'),
    privateKey: join(etc, 'client.key'),
    trustAnchor: join(etc, 'customerCA.crt'),
  };
}

/** The clusters of an SDK 5 file such as cloudhsm-cli.cfg. Throws BAD_CONFIGURATION or REFUSED. */
export function readSdk5Clusters(file: string): ClusterAccess[] {
  const read = readClientConfig(file);
  if (read === undefined)
    throw refused(`there is no configuration ${file}: configure-cli -a <IP address> writes it`);
  const clusters = read.config.clusters ?? [];
  if (clusters.length === 0) throw refused(`${file} names no cluster`);
  return clusters.map(({ cluster }) => sdk5Access(file, cluster));
}

/** One cluster of such a file. */
export function sdk5Access(file: string, cluster: ClientClusterConfig): ClusterAccess {
  const packaged = packagedFiles(file);
  return {
    clusterId: cluster.cluster_id,
    servers: (cluster.servers ?? [])
      .filter(({ enable }) => enable !== false)
      .map(({ hostname, port }) => ({ name: hostname, host: hostname, port: port ?? CLIENT_PORT })),
    identity: {
      certificate: cluster.client_cert_hsm_tls_file ?? cluster.client_cert_path ?? packaged.certificate,
      privateKey: cluster.client_key_hsm_tls_file ?? cluster.client_key_path ?? packaged.privateKey,
      trustAnchor: cluster.hsm_ca_file ?? packaged.trustAnchor,
    },
    availabilityCheck: cluster.options?.disable_key_availability_check !== true,
    retries: cluster.options?.default_retry_mode !== 'off',
  };
}

const hostname = z.string().min(1).max(limits.nameBytes);
const port = z.number().int().min(1).max(65_535);
const path = z.string().max(limits.pathBytes);
const switched = z.enum(['yes', 'no']);

/** An entry of cloudhsm_mgmt_util.cfg (section 3.2). */
const managedServer = z.looseObject({
  hostname,
  name: hostname.optional(),
  port: port.optional(),
  enable: switched.optional(),
  certificate: path.optional(),
  pkey: path.optional(),
  e2e_encryption: z.looseObject({ owner_cert_path: path.optional() }).optional(),
});
const managementSchema = z.looseObject({ servers: z.array(managedServer).max(limits.hsmsPerCluster) });

/** cloudhsm_client.cfg (section 3.1). */
const daemonSchema = z.looseObject({
  client: z
    .looseObject({
      e2e_owner_crt_path: path.optional(),
      create_object_minimum_nodes: z.number().int().min(1).max(limits.hsmsPerCluster).optional(),
    })
    .optional(),
  server: z.looseObject({ hostname, port: port.optional() }),
  ssl: z.looseObject({ certificate: path.optional(), pkey: path.optional() }).optional(),
});

function readJson<T>(file: string, schema: z.ZodType<T>): T {
  const text = readNamedFile(file).toString('utf8');
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw refused(`${file} cannot be used: it is not JSON`);
  }
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  throw refused(`${file} cannot be used: ${describeIssues(result.error.issues)}`);
}

/** An HSM of a CMU file: each has files of its own, because clusters do. */
export interface ManagedServer extends NamedServer {
  readonly identity: IdentityFiles;
}

/** The servers of cloudhsm_mgmt_util.cfg or SyncClusters.cfg, by their ids; what is not enabled is left out. Throws REFUSED, also where
 * none is left: commands to no HSM would be done at once. */
export function readManagedServers(file: string): ManagedServer[] {
  const packaged = packagedFiles(file);
  const servers = readJson(file, managementSchema)
    .servers.filter(({ enable }) => enable !== 'no')
    .map((server) => ({
      name: server.name ?? server.hostname,
      host: server.hostname,
      port: server.port ?? MANAGEMENT_PORT,
      identity: {
        certificate: server.certificate ?? packaged.certificate,
        privateKey: server.pkey ?? packaged.privateKey,
        trustAnchor: server.e2e_encryption?.owner_cert_path ?? packaged.trustAnchor,
      },
    }));
  if (servers.length === 0) throw refused(`${file} names no HSM that is enabled`);
  return servers;
}

/** The cluster of cloudhsm_client.cfg, and on how many HSMs a new key must be. Throws REFUSED. */
export function readDaemonConfig(file: string): ClusterAccess & { readonly minimumNodes: number } {
  const packaged = packagedFiles(file);
  const { client, server, ssl } = readJson(file, daemonSchema);
  return {
    servers: [{ name: server.hostname, host: server.hostname, port: server.port ?? CLIENT_PORT }],
    identity: {
      certificate: ssl?.certificate ?? packaged.certificate,
      privateKey: ssl?.pkey ?? packaged.privateKey,
      trustAnchor: client?.e2e_owner_crt_path ?? packaged.trustAnchor,
    },
    availabilityCheck: false,
    retries: true,
    minimumNodes: client?.create_object_minimum_nodes ?? 1,
  };
}
