import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { runManagementTool } from '../../src/tools/cloudhsm-mgmt-util/tool.js';
import type { ManagedServer } from '../../src/tools/connection/cluster-access.js';
import { type GoldenWorld, playGoldens } from './golden.js';
import { type ClusterOptions, PASSWORD } from './in-process.js';
import { NetworkCluster } from './network.js';
import { TestPrefix } from './prefix.js';

/** An AES key of crypto_user, on all HSMs of its cluster. */
export async function generateAes(
  { cluster }: NetworkCluster,
  label: string,
  extractable = false,
): Promise<number> {
  const client = cluster.connect({ keyAvailability: 'off' });
  await client.login('crypto_user', PASSWORD);
  const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, [
    attribute(CKA.CKA_VALUE_LEN, 32),
    attribute(CKA.CKA_TOKEN, true),
    attribute(CKA.CKA_LABEL, label),
    attribute(CKA.CKA_EXTRACTABLE, extractable),
  ]);
  client.close();
  return handle;
}

/** Clusters that cloudhsm_mgmt_util manages: their HSMs are 10.0.0.1, 10.0.0.2 and so on. */
export class ManagedClusters {
  private constructor(
    readonly networks: readonly NetworkCluster[],
    readonly prefixes: readonly TestPrefix[],
    readonly servers: readonly ManagedServer[],
  ) {}

  static async start(...clusters: readonly ClusterOptions[]): Promise<ManagedClusters> {
    const networks = await Promise.all(
      clusters.map((options) => NetworkCluster.start({ hsmType: 'hsm1.medium', ...options })),
    );
    const prefixes = networks.map((network) => new TestPrefix(network.endpoints, network.client));
    const servers = networks.flatMap((network, at) => {
      const prefix = prefixes[at]!;
      const identity = {
        certificate: prefix.path('etc/client.crt'),
        privateKey: prefix.path('etc/client.key'),
        trustAnchor: prefix.path('etc/customerCA.crt'),
      };
      return network.endpoints.map((endpoint) => ({ ...endpoint, identity }));
    });
    const named = servers.map((server, at) => ({ ...server, name: `10.0.0.${at + 1}` }));
    return new ManagedClusters(networks, prefixes, named);
  }

  get network(): NetworkCluster {
    return this.networks[0]!;
  }

  get prefix(): TestPrefix {
    return this.prefixes[0]!;
  }

  get values(): Readonly<Record<string, string>> {
    const ports = this.servers.map(({ port }, at) => [`port${at}`, String(port)] as const);
    return {
      password: `"${PASSWORD}"`,
      hidden: PASSWORD,
      prefix: this.prefix.directory,
      ...Object.fromEntries(ports),
    };
  }

  /** Plays golden files, one behind the other; `happenings` are what happens outside the tool. */
  play(
    names: string | readonly string[],
    happenings: Readonly<Record<string, () => Promise<void>>> = {},
    patterns: GoldenWorld['patterns'] = [],
  ): Promise<readonly string[]> {
    const world: GoldenWorld = {
      values: this.values,
      patterns,
      happen: async (what) => {
        const happens = happenings[what];
        if (happens === undefined) throw new Error(`nothing is known of: ${what}`);
        await happens();
      },
    };
    return playGoldens(
      [names].flat().map((name) => `cloudhsm-mgmt-util/${name}`),
      world,
      (terminal) => runManagementTool(terminal, this.servers),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.networks.map((network) => network.close()));
    for (const prefix of this.prefixes) prefix.remove();
  }
}
