import * as z from 'zod';
import { describeError } from '../../base/errors.js';
import { readFileIfPresent, writeWholeFile } from '../../base/files.js';
import { silentLog } from '../../base/log.js';
import { RemoteCluster } from '../../cluster/remote-cluster.js';
import { flag, integer, optional, rowsFor } from '../command-row.js';
import { CLIENT_PORT, MANAGEMENT_PORT } from '../connection/cluster-access.js';
import { readIdentity } from '../connection/identity.js';
import { isUsage, refused, usage } from '../failure.js';
import { helpText } from '../help.js';
import { parseWords } from '../parsing.js';
import { prefixPath } from '../prefix.js';
import { requireAddress } from './addresses.js';

/* `configure` of Client SDK 3 (reference management-tools, section 3.1): the files of its daemon and of cloudhsm_mgmt_util. */

export interface DaemonFile {
  readonly path: string;
  readonly fields: Record<string, Record<string, unknown>>;
}

const sections = z.record(z.string(), z.record(z.string(), z.unknown()));
const managed = z.looseObject({ servers: z.array(z.record(z.string(), z.unknown())) });

const etc = (name: string): string => prefixPath('etc', name);

/** cloudhsm_client.cfg as the package installs it ([seen], section 3.1). `sucess_rate_weight` is spelled so. */
export function packagedDaemonConfig() {
  return {
    client: {
      CriticalAlertScript: '',
      create_object_minimum_nodes: 1,
      daemon_id: 1,
      e2e_owner_crt_path: etc('customerCA.crt'),
      enable_3des_key_reuse: 'no',
      log_level: 'INFO',
      reconnect_attempts: -1,
      reconnect_interval: 3,
      socket_type: 'UNIXSOCKET',
      sslreneg: 0,
      tcp_port: 1111,
      workers: 1,
      zoneid: 0,
    },
    dualfactor: {
      certificate: 'certificate.crt',
      dualfactor_ch_ssl_ciphers: 'default',
      dualfactor_ssl: 'yes',
      enable: 'no',
      pkey: 'pkey.pem',
      port: MANAGEMENT_PORT,
    },
    loadbalance: {
      enable: 'yes',
      prefer_same_zone: 'no',
      relative_idleness_weight: 1,
      sucess_rate_weight: 1,
    },
    server: { hostname: '', port: CLIENT_PORT },
    ssl: {
      CApath: etc('certs'),
      certificate: etc('client.crt'),
      pkey: etc('client.key'),
      server_ch_ssl_ciphers: 'default',
      server_ssl: 'yes',
    },
  };
}

/** An entry of cloudhsm_mgmt_util.cfg (section 3.2). */
function managedServer(hostname: string) {
  return {
    CAfile: '',
    CApath: etc('certs'),
    certificate: etc('client.crt'),
    e2e_encryption: { enable: 'yes', owner_cert_path: etc('customerCA.crt') },
    enable: 'yes',
    hostname,
    name: hostname,
    pkey: etc('client.key'),
    port: MANAGEMENT_PORT,
    server_ssl: 'yes',
    ssl_ciphers: '',
  };
}

export function packagedManagementConfig(hostnames: readonly string[]) {
  return {
    scard: { certificate: 'cert-sc', enable: 'no', pkey: 'pkey-sc', port: MANAGEMENT_PORT },
    servers: hostnames.map(managedServer),
  };
}

function readJson<T>(path: string, schema: z.ZodType<T>, otherwise: T): T {
  try {
    const contents = readFileIfPresent(path);
    return contents === undefined ? otherwise : schema.parse(JSON.parse(contents.toString('utf8')));
  } catch (error) {
    const why =
      error instanceof SyntaxError || error instanceof z.ZodError
        ? 'it is no such configuration'
        : describeError(error);
    throw refused(`${path} cannot be used: ${why}`);
  }
}

function write(path: string, fields: object, print: (text: string) => void): void {
  print(`Updating server config in ${path}`);
  try {
    writeWholeFile(path, `${JSON.stringify(fields, null, 2)}\n`, 0o644);
  } catch (error) {
    throw refused(`${path} cannot be written: ${describeError(error)}`);
  }
}

interface Context {
  readonly print: (text: string) => void;
}

const daemonFile = (): string => etc('cloudhsm_client.cfg');
const managementFile = (): string => etc('cloudhsm_mgmt_util.cfg');
const readDaemon = () => readJson(daemonFile(), sections, packagedDaemonConfig() as never);

function setAddress(hostname: string, { print }: Context): void {
  requireAddress(hostname);
  const daemon = readDaemon();
  write(daemonFile(), { ...daemon, server: { ...daemon['server'], hostname } }, print);
  write(managementFile(), packagedManagementConfig([hostname]), print);
}

/** The daemon would list all HSMs in cluster.info; here the one that is configured is asked who the others are. */
async function setAllServers({ print }: Context): Promise<void> {
  const { client, server, ssl } = readDaemon();
  const port = Number(server?.['port'] ?? CLIENT_PORT);
  const file = (value: unknown, otherwise: string): string =>
    typeof value === 'string' ? value : etc(otherwise);
  const identity = readIdentity({
    certificate: file(ssl?.['certificate'], 'client.crt'),
    privateKey: file(ssl?.['pkey'], 'client.key'),
    trustAnchor: file(client?.['e2e_owner_crt_path'], 'customerCA.crt'),
  });
  const host = String(server?.['hostname'] ?? '');
  if (host === '') throw refused('no HSM is configured: configure -a <ENI IP> first');
  const cluster = await RemoteCluster.open({ servers: [{ host, port }], identity, log: silentLog });
  const hostnames = cluster.members.map(({ eniIp }) => eniIp);
  cluster.close();
  write(managementFile(), packagedManagementConfig(hostnames), print);
}

function setIdentity(pkey: string, certificate: string, { print }: Context): void {
  const daemon = readDaemon();
  write(daemonFile(), { ...daemon, ssl: { ...daemon['ssl'], pkey, certificate } }, print);
  const management = readJson(managementFile(), managed, packagedManagementConfig([]));
  const servers = management.servers.map((server) => ({ ...server, pkey, certificate }));
  write(managementFile(), { ...management, servers }, print);
}

const row = rowsFor<Context, void>()({
  path: [],
  help: 'Configures the client daemon, key_mgmt_util and cloudhsm_mgmt_util of Client SDK 3',
  roles: [],
  options: {
    a: optional<string>('ENI_IP', 'Address of an HSM of the cluster'),
    m: flag('Writes the addresses of all HSMs into the configuration of cloudhsm_mgmt_util'),
    i: optional('DAEMON_ID', 'Which daemon: there is one', integer(1, 1)),
    cmu: optional<string>('ENI_IP', 'Both of the above'),
    ssl: flag('Replaces the client certificate and its key'),
    pkey: optional<string>('KEY', 'Path of the key, with --ssl'),
    cert: optional<string>('CERTIFICATE', 'Path of the certificate, with --ssl'),
  },
  run: async (context, { a, m, cmu, ssl, pkey, cert }) => {
    const actions = [a !== undefined, m, cmu !== undefined, ssl].filter(Boolean).length;
    if (actions !== 1) throw usage('one of -a, -m, --cmu and --ssl must be given');
    if (ssl !== (pkey !== undefined) || ssl !== (cert !== undefined))
      throw usage('--ssl, --pkey and --cert belong together');
    if (a !== undefined || cmu !== undefined) setAddress((a ?? cmu)!, context);
    if (m || cmu !== undefined) await setAllServers(context);
    if (ssl) setIdentity(pkey!, cert!, context);
  },
});

/** Runs configure to its end; its exit status. */
export async function configureSdk3(
  words: readonly string[],
  print: (text: string) => void = console.log,
  complain: (text: string) => void = console.error,
): Promise<number> {
  try {
    const parsed = parseWords([row], words);
    if (parsed.is === 'help') {
      print(helpText({ tool: 'configure', about: row.help, rows: [row], groups: {}, common: {} }, []));
      return 0;
    }
    await parsed.row.run({ print }, parsed.values);
    return 0;
  } catch (error) {
    complain(
      isUsage(error)
        ? `error: ${error.message}\n\nFor more information, try 'configure --help'.`
        : `configure: ${describeError(error)}`,
    );
    return isUsage(error) ? 2 : 1;
  }
}
