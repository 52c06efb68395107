import { silentLog } from '../../src/base/log.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import { type HsmServer, serveHsm } from '../../src/cluster/hsm-server.js';
import { RemoteCluster, type RemoteClusterOptions } from '../../src/cluster/remote-cluster.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import {
  boardOf,
  newDeviceCertificates,
  newRoots,
  type Roots,
} from '../../src/control-plane/identity/hardware.js';
import { parseCertificate } from '../../src/crypto/index.js';
import type { Members } from '../../src/wire/hsm-frames.js';
import { type ClusterOptions, memoryCluster } from './in-process.js';
import { TestAuthority } from './tls.js';

/** Of all HSMs of a test. */
let roots: Promise<Roots> | undefined;

/** A cluster in memory whose HSMs listen, each on a port of its own. They can be cut off and come back. */
export class NetworkCluster {
  readonly #servers = new Map<string, HsmServer>();
  readonly #ports = new Map<string, number>();
  readonly #identities = new Map<string, TlsIdentity>();
  readonly #remote: RemoteCluster[] = [];
  /** Ids of the HSMs that belong to the cluster now. */
  members: readonly string[];
  version = 1;

  private constructor(
    readonly cluster: Cluster,
    readonly client: TlsIdentity,
  ) {
    this.members = cluster.hsms.map(({ settings }) => settings.id);
  }

  static async start(options: ClusterOptions = {}): Promise<NetworkCluster> {
    return NetworkCluster.serve(await memoryCluster(options));
  }

  static async serve(cluster: Cluster): Promise<NetworkCluster> {
    const authority = await TestAuthority.make();
    const network = new NetworkCluster(cluster, await authority.identity('client'));
    for (const hsm of cluster.hsms) {
      const { settings } = hsm;
      network.#identities.set(settings.id, await authority.identity('hsm', settings.id));
      const identity = network.#identities.get(settings.id)!;
      roots ??= newRoots();
      const { spki } = parseCertificate(identity.certificate);
      const board = boardOf(settings.id, settings.ordinal);
      await hsm.keepDeviceCertificates(await newDeviceCertificates(await roots, settings, board, spki));
      await network.comeBack(settings.id);
    }
    for (const server of network.#servers.values()) server.announce();
    return network;
  }

  /** Where the HSMs listen, in their order. */
  get endpoints(): { readonly host: string; readonly port: number }[] {
    return [...this.#ports.values()].map((port) => ({ host: '127.0.0.1', port }));
  }

  readonly #members = (): Members => ({
    version: this.version,
    clusterId: this.cluster.settings.id,
    hsmType: this.cluster.settings.hsmType,
    mode: this.cluster.settings.mode,
    hsms: this.members.map((id, at) => ({
      id,
      ordinal: at + 1,
      eniIp: '127.0.0.1',
      port: this.#ports.get(id) ?? 0,
    })),
  });

  /** The HSM is out of reach, as after a kill -9: its sessions are gone. */
  async cutOff(id: string): Promise<void> {
    await this.#servers.get(id)?.close();
    this.#servers.delete(id);
  }

  /** @param identity instead of its own */
  async comeBack(id: string, identity = this.#identities.get(id)!): Promise<void> {
    const hsm = this.cluster.hsms.find(({ settings }) => settings.id === id)!;
    const server = await serveHsm({
      hsm,
      identity,
      eniIp: '127.0.0.1',
      ports: [this.#ports.get(id) ?? 0],
      members: this.#members,
      log: silentLog,
    });
    this.#servers.set(id, server);
    this.#ports.set(id, server.ports[0]!);
    this.version++;
  }

  /** Makes these the HSMs of the cluster. */
  change(members: readonly string[]): void {
    this.members = members;
    this.version++;
    for (const server of this.#servers.values()) server.announce();
  }

  async open(client: RemoteClusterOptions['client'] = {}, log = silentLog): Promise<RemoteCluster> {
    const servers = this.endpoints;
    const remote = await RemoteCluster.open({ servers, identity: this.client, log, client });
    this.#remote.push(remote);
    return remote;
  }

  async close(): Promise<void> {
    for (const remote of this.#remote) remote.close();
    for (const id of this.#servers.keys()) await this.cutOff(id);
    await this.cluster.close();
  }
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
