import { z } from 'zod';
import { readClientConfig, unusableConfig } from '../base/client-config.js';
import { readForeignFile } from '../base/files.js';
import { limits } from '../base/limits.js';
import type { RemoteClusterOptions } from '../cluster/remote-cluster.js';
import type { HsmEndpoint } from '../cluster/tls-connection.js';
import { readIdentity } from './network.js';

/** Which HSMs there are, who the client is, and on how many HSMs a key must be: everything but the log. */
export type ServerList = Omit<RemoteClusterOptions, 'log'>;

/** "HSM ports: 2223" (tools reference, section 0). */
const DEFAULT_PORT = 2223;

/** What of SDK 3's cloudhsm_client.cfg concerns us (tools reference 3.1): one HSM, which names the others. */
const daemonSchema = z.looseObject({
  client: z.looseObject({
    create_object_minimum_nodes: z.number().int().min(1).max(limits.hsmsPerCluster).default(1),
    e2e_owner_crt_path: z.string(),
  }),
  server: z.looseObject({
    hostname: z.string(),
    port: z.number().int().min(1).max(65_535).default(DEFAULT_PORT),
  }),
  ssl: z.looseObject({ certificate: z.string(), pkey: z.string() }),
});

/** The clusters that a client configuration names: cloudhsm-pkcs11.cfg or SDK 3's cloudhsm_client.cfg. Throws
 * BAD_CONFIGURATION. */
export function readServers(file: string): ServerList[] {
  return readDaemonConfig(file) ?? readLibraryConfig(file);
}

function readDaemonConfig(file: string): ServerList[] | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(readForeignFile(file, limits.configurationBytes)?.toString('utf8') ?? '');
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null || !('server' in fields)) return undefined;
  const result = daemonSchema.safeParse(fields);
  if (!result.success) {
    const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw unusableConfig(file, problems.join('; '));
  }
  const { client, server, ssl } = result.data;
  return [
    {
      servers: [{ host: server.hostname, port: server.port }],
      identity: readIdentity(ssl.certificate, ssl.pkey, client.e2e_owner_crt_path),
      client: { minimumNodes: client.create_object_minimum_nodes },
    },
  ];
}

function readLibraryConfig(file: string): ServerList[] {
  const found = readClientConfig(file);
  if (found === undefined) throw unusableConfig(file, 'there is no such file');
  return (found.config.clusters ?? []).map(({ cluster }, at) => {
    const missing = (field: string): Error =>
      unusableConfig(file, `clusters[${at}].cluster.${field}: it must be there for HSMs in other processes`);
    const { hsm_ca_file: trustAnchor, client_cert_path, client_key_path } = cluster;
    const certificate = cluster.client_cert_hsm_tls_file ?? client_cert_path;
    const privateKey = cluster.client_key_hsm_tls_file ?? client_key_path;
    if (trustAnchor === undefined) throw missing('hsm_ca_file');
    if (certificate === undefined) throw missing('client_cert_path');
    if (privateKey === undefined) throw missing('client_key_path');
    const servers: HsmEndpoint[] = (cluster.servers ?? [])
      .filter(({ enable }) => enable !== false)
      .map(({ hostname, port }) => ({ host: hostname, port: port ?? DEFAULT_PORT }));
    if (servers.length === 0) throw missing('servers');
    const client = { retries: cluster.options?.default_retry_mode !== 'off' };
    return { servers, identity: readIdentity(certificate, privateKey, trustAnchor), client };
  });
}
