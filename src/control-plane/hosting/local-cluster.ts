import { describeError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { pem } from '../../base/pem.js';
import { Cluster, type ClusterSettings } from '../../cluster/cluster.js';
import { type HsmServer, serveHsm } from '../../cluster/hsm-server.js';
import type { Hsm } from '../../hsm/hsm.js';
import type { Members } from '../../wire/hsm-frames.js';
import type { ClusterTrust, HsmPlace } from '../hsm-host.js';

interface Served {
  readonly place: HsmPlace;
  readonly serve: () => Promise<HsmServer>;
  /** undefined: its address cannot be had, and it is there for this process alone. */
  server: HsmServer | undefined;
}

/** A cluster whose HSMs come and go: programs of this process use them directly, all others at their ENI addresses. */
export class LocalCluster {
  readonly cluster: Cluster;
  readonly #served = new Map<string, Served>();
  #version = 0;

  constructor(
    settings: ClusterSettings,
    private readonly ports: readonly number[],
    intervalMs: number,
    private readonly log: Log,
  ) {
    this.cluster = new Cluster(settings, []);
    void this.cluster.keepSynchronised(intervalMs);
  }

  /** Where an HSM listens. */
  serverOf(hsmId: string): HsmServer | undefined {
    return this.#served.get(hsmId)?.server;
  }

  get servers(): HsmServer[] {
    return [...this.#served.values()].flatMap(({ server }) => server ?? []);
  }

  #members(): Members {
    const hsms = [...this.#served.values()].map(({ place, server }) => ({
      id: place.hsmId,
      ordinal: place.ordinal,
      eniIp: place.eniIp,
      port: server?.ports[0] ?? this.ports[0]!,
    }));
    const { id: clusterId, hsmType, mode } = this.cluster.settings;
    return { version: this.#version, clusterId, hsmType, mode, hsms };
  }

  /** Clients take only lists that are newer than theirs, whichever process made them. */
  #announce(): void {
    this.#version = Math.max(this.#version + 1, Math.floor(Date.now() / 1000));
    for (const server of this.servers) server.announce();
  }

  /** Lets an initialised HSM in. It listens with the cluster's certificate: those who trust its owner's trust it. */
  async join(hsm: Hsm, place: HsmPlace, trust: ClusterTrust, clusterKey: Buffer): Promise<void> {
    const { hsmId, eniIp } = place;
    const { certificate, trustAnchor } = trust;
    const identity = { certificate, privateKey: pem('PRIVATE KEY', clusterKey), trustAnchor };
    const members = (): Members => this.#members();
    const serve = () => serveHsm({ hsm, identity, eniIp, ports: this.ports, members, log: this.log });
    const served: Served = { place, serve, server: undefined };
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
