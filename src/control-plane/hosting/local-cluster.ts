import { describeError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { pem } from '../../base/pem.js';
import { Cluster, type ClusterSettings } from '../../cluster/cluster.js';
import { connectToHsm } from '../../cluster/connect-to-hsm.js';
import { type HsmServer, serveHsm } from '../../cluster/hsm-server.js';
import type { Peer } from '../../cluster/synchronizer.js';
import type { TlsIdentity } from '../../cluster/tls.js';
import type { HsmEndpoint } from '../../cluster/tls-connection.js';
import type { Hsm, HsmConnection } from '../../hsm/hsm.js';
import type { Member, Members } from '../../wire/hsm-frames.js';
import type { ClusterTrust, HsmPlace } from '../hsm-host.js';
import { pemBytes } from '../identity/der.js';
import { newPeerIdentity } from '../identity/peers.js';
import type { Roster } from './roster.js';

/** Peers are on the same machine: one that says nothing for so long is not there. */
const PEER_TIMEOUTS = { connectMs: 1_000, silenceMs: 3_000 };

interface Served {
  readonly place: HsmPlace;
  /** As whom it goes to other HSMs. */
  readonly asPeer: TlsIdentity;
  readonly serve: () => Promise<HsmServer>;
  /** undefined: its address cannot be had, and it is there for this process alone. */
  server: HsmServer | undefined;
}

/** Only an HSM of the cluster has the certificate that the cluster was initialised with: nobody else says what is destroyed. */
async function connectToPeer(
  endpoint: HsmEndpoint,
  identity: TlsIdentity,
  certificate: string,
): Promise<HsmConnection> {
  const connection = await connectToHsm({ endpoint, identity, timeouts: PEER_TIMEOUTS });
  if (connection.certificate?.equals(pemBytes('CERTIFICATE', certificate)!)) return connection;
  connection.close();
  throw new Error(
    `what listens on ${endpoint.host}:${endpoint.port} has another certificate than the cluster`,
  );
}

/** A cluster whose HSMs come and go: programs of this process use them directly, all others at their ENI addresses. */
export class LocalCluster {
  readonly cluster: Cluster;
  readonly #served = new Map<string, Served>();
  #trust: ClusterTrust | undefined;

  constructor(
    settings: ClusterSettings,
    private readonly ports: readonly number[],
    intervalMs: number,
    private readonly roster: Roster,
    private readonly log: Log,
  ) {
    this.cluster = new Cluster(settings, [], () => this.#peers());
    void this.cluster.keepSynchronised(intervalMs);
  }

  get servers(): HsmServer[] {
    return [...this.#served.values()].flatMap(({ server }) => server ?? []);
  }

  #own(): Member[] {
    const own = [...this.#served.values()].map(({ place, server }) => ({
      id: place.hsmId,
      ordinal: place.ordinal,
      eniIp: place.eniIp,
      port: server?.ports[0] ?? this.ports[0]!,
    }));
    return own.sort((one, other) => one.ordinal - other.ordinal);
  }

  #members(): Members {
    return this.roster.members(this.cluster.settings, this.#own());
  }

  /** HSMs of the cluster that other processes have. */
  #peers(): Peer[] {
    return this.#members()
      .hsms.filter(({ id }) => !this.#served.has(id))
      .flatMap((member) => this.#peer(member) ?? []);
  }

  #peer({ id: hsmId, eniIp: host, port }: Member): Peer | undefined {
    const [own] = this.#served.values();
    const trust = this.#trust;
    if (own === undefined || trust === undefined) return undefined;
    return { hsmId, connect: () => connectToPeer({ host, port }, own.asPeer, trust.certificate) };
  }

  /** Takes over what only an HSM has, in another process, that leaves. */
  async inheritFrom(leaving: Member): Promise<void> {
    const peer = this.#peer(leaving);
    if (peer !== undefined) await this.cluster.inheritFrom(peer);
  }

  /** No client uses the HSM any more; the others may take over what only it has. */
  dismissClients(hsmId: string): void {
    this.#served.get(hsmId)?.server?.dismissClients();
  }

  #announce(): void {
    this.roster.changed(this.#own());
    for (const server of this.servers) server.announce();
  }

  /** The roster says something else: clients learn it, and what new ones have that is later is taken. */
  follow(): void {
    for (const server of this.servers) server.announce();
    for (const hsm of this.cluster.hsms) void hsm.synchronize();
  }

  /** Lets an initialised HSM in. It listens with the cluster's certificate: those who trust its owner's trust it. */
  async join(hsm: Hsm, place: HsmPlace, trust: ClusterTrust, clusterKey: Buffer): Promise<void> {
    const { hsmId, eniIp } = place;
    const { certificate, trustAnchor } = trust;
    const { anchor: peerAnchor, ...peer } = await newPeerIdentity(clusterKey, hsmId, 'hsm');
    const identity = { certificate, privateKey: pem('PRIVATE KEY', clusterKey), trustAnchor };
    const members = (): Members => this.#members();
    const { ports, log } = this;
    const serve = () => serveHsm({ hsm, identity, peerAnchor, eniIp, ports, members, log });
    const served: Served = { place, asPeer: { ...peer, trustAnchor }, serve, server: undefined };
    this.#trust = trust;
    this.#served.set(hsmId, served);
    await this.cluster.add(hsm);
    await this.#listen(served).catch((error: unknown) => this.log.warn({ hsm: hsmId }, describeError(error)));
    this.#announce();
  }

  async #listen(served: Served): Promise<void> {
    const server = await served.serve();
    served.server = server;
    // It has left meanwhile.
    if (this.#served.get(served.place.hsmId) !== served) await server.close();
  }

  /** Lets an HSM listen that does not any more, or never could. */
  async listenAgain(hsmId: string): Promise<void> {
    const served = this.#served.get(hsmId);
    if (served === undefined || served.server?.listening === true) return;
    const { server } = served;
    served.server = undefined;
    await server?.close();
    await this.#listen(served).catch((error: unknown) =>
      this.log.debug({ hsm: hsmId }, describeError(error)),
    );
    this.#announce();
  }

  async leave(hsmId: string): Promise<void> {
    const served = this.#served.get(hsmId);
    if (!this.#served.delete(hsmId)) return;
    const removed = this.cluster.remove(hsmId);
    this.#announce();
    await served?.server?.close();
    await removed;
  }
}
