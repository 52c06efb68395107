import type { ClusterKind } from '../base/cluster-kind.js';
import type { Hsm } from '../hsm/hsm.js';
import { type MechanismTable, mechanismsOf } from '../mechanisms/mechanism-table.js';
import { type ClientOptions, ClusterClient } from './cluster-client.js';
import type { HsmLink } from './seats.js';
import { Synchronizer } from './synchronizer.js';
import type { HsmEndpoint } from './tls-connection.js';

/** What tells one cluster from another. */
export interface ClusterSettings extends ClusterKind {
  readonly id: string;
}

/** An HSM of a cluster by its id, wherever it runs, and by its address, if it has one. */
export interface NamedHsm {
  readonly settings: { readonly id: string } & Partial<HsmEndpoint>;
}

/** A cluster as its clients see it. */
export interface ClusterView {
  readonly settings: ClusterSettings;
  readonly mechanisms: MechanismTable;
  readonly hsms: readonly NamedHsm[];
  /** Whether any HSM answers at the moment. */
  readonly reachable: boolean;
  /** A client of its own for one application: one login, one set of session keys. */
  connect(options?: ConnectOptions): ClusterClient;
}

export interface ConnectOptions<Member extends NamedHsm = NamedHsm> extends ClientOptions {
  /** Picks the HSMs that it uses: all without it. */
  readonly uses?: ((hsm: Member) => boolean) | undefined;
}

/** A cluster whose HSMs run in this process. */
export class Cluster implements ClusterView {
  readonly mechanisms: MechanismTable;
  readonly #synchronizers: readonly Synchronizer[];

  constructor(
    readonly settings: ClusterSettings,
    readonly hsms: readonly Hsm[],
  ) {
    this.mechanisms = mechanismsOf(settings);
    const peers = hsms.map((hsm) => ({ hsmId: hsm.settings.id, connect: () => hsm.connectPeer() }));
    this.#synchronizers = hsms.map((hsm) => new Synchronizer(hsm, () => peers));
  }

  get reachable(): boolean {
    return this.hsms.some(({ condition }) => condition !== 'unreachable');
  }

  /** Brings all HSMs to the same objects, now and every so often: a client that ended half way left them apart. */
  async keepSynchronised(intervalMs: number): Promise<void> {
    await Promise.all(this.#synchronizers.map((synchronizer) => synchronizer.catchUp()));
    for (const synchronizer of this.#synchronizers) synchronizer.start(intervalMs);
  }

  connect({ uses = () => true, ...options }: ConnectOptions<Hsm> = {}): ClusterClient {
    const links = this.hsms.filter(uses).map(directLink);
    return new ClusterClient({ current: () => links, watch: () => () => undefined }, options);
  }

  async close(): Promise<void> {
    for (const synchronizer of this.#synchronizers) synchronizer.stop();
    await Promise.all(this.hsms.map((hsm) => hsm.close()));
  }
}

function directLink(hsm: Hsm): HsmLink {
  return {
    hsmId: hsm.settings.id,
    direct: true,
    connect: (allowed, switches) => hsm.connect({ ...switches, allowed }),
  };
}
