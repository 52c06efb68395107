import { type ClusterKind, hsmTypes } from '../base/cluster-kind.js';
import { silentLog } from '../base/log.js';
import type { Hsm } from '../hsm/hsm.js';
import { type MechanismTable, mechanismsOf } from '../mechanisms/mechanism-table.js';
import { type ClientOptions, ClusterClient } from './cluster-client.js';
import type { HsmLink } from './links.js';
import { type Peer, Synchronizer } from './synchronizer.js';
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
  /** Whether any HSM has to do with an application that shows these certificates, DER: HSMs over TLS look themselves. */
  admits?(presented: readonly Buffer[] | undefined): boolean;
  /** A client of its own for one application: one login, one set of session keys. */
  connect(options?: ConnectOptions): ClusterClient;
}

export interface ConnectOptions<Member extends NamedHsm = NamedHsm> extends ClientOptions {
  /** Picks the HSMs that it uses: all without it. */
  readonly uses?: ((hsm: Member) => boolean) | undefined;
}

/** A cluster whose HSMs run in this process. */
export class Cluster implements ClusterView {
  #settings: ClusterSettings;
  #mechanisms: MechanismTable;
  /** In the order of their ordinals. */
  #members: ReadonlyMap<string, LocalMember> = new Map();
  readonly #watchers = new Set<() => void>();
  #intervalMs: number | undefined;

  /** @param elsewhere the cluster's HSMs in other processes, as they are now: those here take from them what is later there */
  constructor(
    settings: ClusterSettings,
    hsms: readonly Hsm[],
    private readonly elsewhere: () => readonly Peer[] = () => [],
  ) {
    this.#settings = settings;
    this.#mechanisms = mechanismsOf(settings);
    for (const hsm of hsms) this.#add(hsm);
  }

  get settings(): ClusterSettings {
    return this.#settings;
  }

  get mechanisms(): MechanismTable {
    return this.#mechanisms;
  }

  /** While its HSMs are of two types, the cluster is what the older ones are: all of them can do that. */
  #followType(): void {
    const types = new Set(this.hsms.map(({ settings: { hsmType } }) => hsmType));
    const oldest = hsmTypes.find((hsmType) => types.has(hsmType));
    if (oldest === undefined || oldest === this.#settings.hsmType) return;
    this.#settings = { ...this.#settings, hsmType: oldest };
    this.#mechanisms = mechanismsOf(this.#settings);
  }

  get hsms(): readonly Hsm[] {
    return [...this.#members.values()].map(({ hsm }) => hsm);
  }

  #add(hsm: Hsm): Synchronizer {
    const synchronizer = new Synchronizer(hsm, () => [
      ...[...this.#members.values()].map(({ peer }) => peer),
      ...this.elsewhere(),
    ]);
    const peer = { hsmId: hsm.settings.id, connect: () => hsm.connectPeer() };
    const members = [...this.#members.values(), { hsm, link: directLink(hsm), peer, synchronizer }];
    members.sort((one, other) => one.hsm.settings.ordinal - other.hsm.settings.ordinal);
    this.#members = new Map(members.map((member) => [member.hsm.settings.id, member]));
    this.#followType();
    return synchronizer;
  }

  /** One HSM more, which clients use from now on: it has what the others have before they do. */
  async add(hsm: Hsm): Promise<void> {
    const synchronizer = this.#add(hsm);
    await synchronizer.catchUp();
    if (this.#intervalMs !== undefined) synchronizer.start(this.#intervalMs);
    for (const changed of this.#watchers) changed();
  }

  /**
   * One HSM less. Clients let go of it at once, and what only it has the others take over; closing it is left to the caller, when the
   * promise has resolved.
   */
  async remove(hsmId: string): Promise<void> {
    const leaving = this.#members.get(hsmId);
    if (leaving === undefined) return;
    const stopped = leaving.synchronizer.stop();
    this.#members = new Map([...this.#members].filter(([id]) => id !== hsmId));
    this.#followType();
    for (const changed of this.#watchers) changed();
    await stopped;
    await this.inheritFrom(leaving.peer);
  }

  /** All HSMs here take over what only an HSM has that leaves. */
  async inheritFrom(leaving: Peer): Promise<void> {
    const staying = [...this.#members.values()];
    await Promise.all(staying.map(({ synchronizer }) => synchronizer.inheritFrom(leaving)));
  }

  get reachable(): boolean {
    return this.hsms.some(({ condition }) => condition !== 'unreachable');
  }

  admits(presented: readonly Buffer[] | undefined): boolean {
    return this.hsms.some(({ mutualTls }) => mutualTls.admits(presented));
  }

  /** Brings all HSMs to the same objects, now and every so often: a client that ended half way left them apart. */
  async keepSynchronised(intervalMs: number): Promise<void> {
    this.#intervalMs = intervalMs;
    const synchronizers = [...this.#members.values()].map(({ synchronizer }) => synchronizer);
    await Promise.all(synchronizers.map((synchronizer) => synchronizer.catchUp()));
    for (const synchronizer of synchronizers) synchronizer.start(intervalMs);
  }

  connect({ uses = () => true, ...options }: ConnectOptions<Hsm> = {}): ClusterClient {
    const current = (): HsmLink[] =>
      [...this.#members.values()].filter(({ hsm }) => uses(hsm)).map(({ link }) => link);
    const watch = (changed: () => void): (() => void) => {
      this.#watchers.add(changed);
      return () => this.#watchers.delete(changed);
    };
    return new ClusterClient({ current, watch }, { log: this.hsms[0]?.log ?? silentLog, ...options });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ synchronizer }) => synchronizer.stop()));
    await Promise.all(this.hsms.map((hsm) => hsm.close()));
  }
}

/** What belongs to one HSM of the cluster, made once: clients know a link again. */
interface LocalMember {
  readonly hsm: Hsm;
  readonly link: HsmLink;
  readonly peer: Peer;
  readonly synchronizer: Synchronizer;
}

function directLink(hsm: Hsm): HsmLink {
  return {
    hsmId: hsm.settings.id,
    direct: true,
    connect: (allowed, switches, dropped, presented) =>
      hsm.connect({ ...switches, allowed, dropped, presented }),
  };
}
