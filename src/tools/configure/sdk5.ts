import {
  type ClientClusterConfig,
  type ClientConfig,
  libraryLogLevels,
  logIntervals,
} from '../../base/client-config.js';
import { limits } from '../../base/limits.js';
import { flag, many, type Options, oneOf, optional, required, rowsFor, shown, word } from '../command-row.js';
import { CLIENT_PORT } from '../connection/cluster-access.js';
import { refused, usage } from '../failure.js';
import { prefixPath } from '../prefix.js';
import { requireAddress } from './addresses.js';
import { isPlaceholder, PLACEHOLDER, readDraft, writeConfig } from './config-file.js';
import { hsmAddresses } from './describe-clusters.js';

/** What a configure command works with. */
export interface ConfigureContext {
  readonly file: string;
  readonly component: Component;
  readonly env: NodeJS.ProcessEnv;
}

export const components = ['cli', 'pkcs11', 'dyn', 'jce', 'openssl-provider', 'ksp'] as const;
export type Component = (typeof components)[number];

type Cluster = { -readonly [Name in keyof ClientClusterConfig]: ClientClusterConfig[Name] };
type Settings = Record<string, unknown>;

interface Switch {
  /** Behind `--enable-` and `--disable-`. */
  readonly name: string;
  readonly what: string;
  /** The option in the file, and which of the two words sets it. */
  readonly field: string;
  readonly setBy: 'enable' | 'disable';
  readonly of: readonly Component[];
}

/** THE row per switch (reference management-tools, section 3.3). Names of fields but the first are guesses. */
const switches: readonly Switch[] = [
  {
    name: 'key-availability-check',
    what: 'the check that a key is on two HSMs',
    field: 'disable_key_availability_check',
    setBy: 'disable',
    of: components,
  },
  {
    name: 'validate-key-at-init',
    what: 'the check of permissions when an operation begins',
    field: 'disable_validate_key_at_init',
    setBy: 'disable',
    of: ['pkcs11'],
  },
  {
    name: 'certificate-storage',
    what: 'certificates as objects',
    field: 'enable_certificate_storage',
    setBy: 'enable',
    of: ['pkcs11'],
  },
  {
    name: 'clear-key-extraction-in-software',
    what: 'keys in the clear',
    field: 'enable_clear_key_extraction_in_software',
    setBy: 'enable',
    of: ['jce'],
  },
  {
    name: 'sdk3-compatibility-mode',
    what: 'key references of SDK 3',
    field: 'enable_sdk3_compatibility_mode',
    setBy: 'enable',
    of: ['ksp'],
  },
];

const lookupOptions = {
  region: optional<string>('REGION', 'Region of your cluster'),
  endpoint: optional<string>('ENDPOINT', 'Endpoint of the CloudHSM API'),
};
const tlsOptions = {
  'hsm-ca-cert': optional<string>(
    'HSM_CA_CERTIFICATE_FILE',
    'Path of the issuing certificate [default: customerCA.crt beside the configuration]',
  ),
  'client-cert-hsm-tls-file': optional<string>(
    'CLIENT_CERTIFICATE',
    'Path of the client certificate for mutual TLS with the HSMs',
  ),
  'client-key-hsm-tls-file': optional<string>(
    'CLIENT_KEY',
    'Path of the client key for mutual TLS with the HSMs',
  ),
};
const plainOptions = {
  a: many('HSM_IP_ADDRESS', 'ENI addresses of HSMs'),
  'cluster-id': optional<string>('CLUSTER_ID', 'Finds the addresses of this cluster'),
  ...lookupOptions,
  ...tlsOptions,
  'server-client-cert-file': optional<string>('CLIENT_CERTIFICATE', 'Path of the client certificate'),
  'server-client-key-file': optional<string>('CLIENT_KEY', 'Path of the client key'),
  'log-type': optional('LOG_TYPE', 'Where the log goes', oneOf('file', 'term')),
  'log-file': optional<string>('LOG_FILE', 'Path of the log'),
  'log-level': optional('LOG_LEVEL', 'What is logged', oneOf(...libraryLogLevels)),
  'log-rotation': optional('LOG_ROTATION', 'When a new log is begun', oneOf(...logIntervals)),
  'default-retry-mode': optional(
    'RETRY_MODE',
    'Whether throttled commands are repeated',
    oneOf('off', 'standard'),
  ),
};

const switchOptions = (component: Component): Options =>
  Object.fromEntries(
    switches
      .filter(({ of }) => of.includes(component))
      .flatMap(({ name, what }) => [
        [`enable-${name}`, flag(`Enable ${what}`)],
        [`disable-${name}`, flag(`Disable ${what}`)],
      ]),
  );

type TlsValues = { readonly [Name in keyof typeof tlsOptions]: string | undefined };
type PlainValues = TlsValues & Readonly<Record<string, unknown>>;

/** Fields of a cluster that options set. Both of a pair are needed. Throws USAGE. */
function setTls(cluster: Cluster, values: PlainValues): void {
  const pairs = [
    [
      'client-cert-hsm-tls-file',
      'client_cert_hsm_tls_file',
      'client-key-hsm-tls-file',
      'client_key_hsm_tls_file',
    ],
    ['server-client-cert-file', 'client_cert_path', 'server-client-key-file', 'client_key_path'],
  ] as const;
  const given = (name: string): string | undefined => values[name] as string | undefined;
  for (const [certificate, certificateField, key, keyField] of pairs) {
    if ((given(certificate) === undefined) !== (given(key) === undefined))
      throw usage(`--${certificate} and --${key} must be given together`);
    if (given(certificate) === undefined) continue;
    cluster[certificateField] = given(certificate)!;
    cluster[keyField] = given(key)!;
  }
  if (given('hsm-ca-cert') !== undefined) cluster.hsm_ca_file = given('hsm-ca-cert')!;
}

function servers(addresses: readonly string[]) {
  if (addresses.length > limits.hsmsPerCluster)
    throw usage(`a cluster has at most ${limits.hsmsPerCluster} HSMs`);
  return addresses.map((address) => ({
    hostname: requireAddress(address),
    port: CLIENT_PORT,
    enable: true,
  }));
}

/** A file as the package installs it: without servers, with what stands for them until somebody configures it. */
export function packagedConfig(
  given: readonly { readonly hostname: string; readonly port: number }[],
): object {
  const entries = given.length > 0 ? given : [{ hostname: PLACEHOLDER, port: CLIENT_PORT }];
  const listed = entries.map(({ hostname, port }) => ({ hostname, port, enable: true }));
  return { clusters: [entry({ ...newCluster(), servers: listed })] };
}

/** What a package's file says from the start. */
function newCluster(): Cluster {
  return {
    hsm_ca_file: prefixPath('etc/customerCA.crt'),
    servers: [],
    options: { disable_key_availability_check: false },
  };
}

const entry = (cluster: Cluster) => ({ type: 'hsm1', cluster });

function options(values: PlainValues, component: Component): Settings {
  const set: Settings = {};
  for (const { name, field, setBy, of } of switches) {
    if (!of.includes(component)) continue;
    const enabled = values[`enable-${name}`] === true;
    const disabled = values[`disable-${name}`] === true;
    if (enabled && disabled) throw usage(`--enable-${name} and --disable-${name} exclude each other`);
    if (enabled || disabled) set[field] = setBy === 'enable' ? enabled : disabled;
  }
  if (values['default-retry-mode'] !== undefined) set['default_retry_mode'] = values['default-retry-mode'];
  return set;
}

function logging(values: PlainValues): Settings {
  const named = {
    'log-type': 'log_type',
    'log-file': 'log_file',
    'log-level': 'log_level',
    'log-rotation': 'log_interval',
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, field]) =>
      values[name] === undefined ? [] : [[field, values[name]]],
    ),
  );
}

async function configure({ file, component, env }: ConfigureContext, values: PlainValues): Promise<void> {
  const config: ClientConfig = readDraft(file);
  const clusterId = values['cluster-id'] as string | undefined;
  const given = values['a'] as readonly string[];
  if (given.length > 0 && clusterId !== undefined) throw usage('-a and --cluster-id exclude each other');
  const pointless = Object.keys(lookupOptions).find((name) => values[name] !== undefined);
  if (clusterId === undefined && pointless !== undefined)
    throw usage(`--${pointless} says where --cluster-id is looked for: give both`);
  const lookup = {
    clusterId: clusterId!,
    region: values['region'] as string | undefined,
    endpoint: values['endpoint'] as string | undefined,
  };
  const addresses = clusterId === undefined ? given : await hsmAddresses(lookup, env);
  const clusters = (config.clusters ?? []).map(({ type, cluster }) => ({
    type,
    cluster: { ...cluster } as Cluster,
  }));
  if (clusters.length === 0) clusters.push({ ...entry(newCluster()) });
  if (addresses.length > 0 && clusters.length > 1)
    throw refused(`${file} has several clusters: use add-cluster and remove-cluster`);
  const set = options(values, component);
  for (const { cluster } of clusters) {
    if (addresses.length > 0) {
      cluster.servers = servers(addresses);
      if (clusterId === undefined) delete cluster.cluster_id;
      else cluster.cluster_id = clusterId;
    }
    setTls(cluster, values);
    if (Object.keys(set).length > 0) cluster.options = { ...cluster.options, ...set };
  }
  const log = logging(values);
  writeConfig(file, {
    ...config,
    clusters,
    ...(Object.keys(log).length > 0 && { logging: { ...config.logging, ...log } }),
  });
}

async function addCluster(
  { file, env }: ConfigureContext,
  values: TlsValues & { 'cluster-id': string; region: string | undefined; endpoint: string | undefined },
): Promise<void> {
  const config: ClientConfig = readDraft(file);
  const clusterId = values['cluster-id'];
  const cluster = newCluster();
  cluster.cluster_id = clusterId;
  cluster.servers = servers(
    await hsmAddresses({ clusterId, region: values.region, endpoint: values.endpoint }, env),
  );
  setTls(cluster, values);
  const others = (config.clusters ?? []).filter(
    (one) => one.cluster.cluster_id !== clusterId && !isPlaceholder(one.cluster),
  );
  if (others.length >= limits.clusters) throw refused(`${file} has ${limits.clusters} clusters already`);
  writeConfig(file, { ...config, clusters: [...others, entry(cluster)] });
}

async function removeCluster(
  { file }: ConfigureContext,
  { 'cluster-id': id }: { 'cluster-id': string },
): Promise<void> {
  const config = readDraft(file);
  const clusters = (config.clusters ?? []).filter(({ cluster }) => cluster.cluster_id !== id);
  if (clusters.length === (config.clusters ?? []).length)
    throw refused(`${file} names no cluster ${shown(id)}`);
  writeConfig(file, { ...config, clusters });
}

const command = rowsFor<ConfigureContext, void>();
const clusterId = required<string>('CLUSTER_ID', 'Id of the cluster', word);

/** THE row per command of configure-<component>. */
export const configureCommands = (component: Component) => [
  command({
    path: [],
    help: `Configures the ${component} of Client SDK 5`,
    roles: [],
    options: { ...plainOptions, ...switchOptions(component) },
    run: async (context, values) => {
      const isGiven = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value));
      if (!Object.values(values).some(isGiven)) throw usage('there is nothing to configure');
      await configure(context, values as unknown as PlainValues);
    },
  }),
  ...(component === 'cli' || component === 'pkcs11'
    ? [
        command({
          path: ['add-cluster'],
          help: 'Adds a cluster to the configuration',
          roles: [],
          options: { 'cluster-id': clusterId, ...lookupOptions, ...tlsOptions },
          run: addCluster,
        }),
        command({
          path: ['remove-cluster'],
          help: 'Removes a cluster from the configuration',
          roles: [],
          options: { 'cluster-id': clusterId },
          run: removeCluster,
        }),
      ]
    : []),
];
