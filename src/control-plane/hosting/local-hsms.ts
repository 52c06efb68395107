import type { BackupKeys } from '../../backup/keys.js';
import { commandFailure } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { Turns } from '../../base/turns.js';
import type { Cluster, NamedHsm } from '../../cluster/cluster.js';
import type { HsmServer } from '../../cluster/hsm-server.js';
import type { TlsIdentity } from '../../cluster/tls.js';
import { rsaPrivateComponents, rsaPublicKeyInfo } from '../../crypto/index.js';
import { restoreHsm } from '../../hsm/backup/restore.js';
import { deviceCertificatesChange } from '../../hsm/device-certificates.js';
import { Hsm, type HsmSettings } from '../../hsm/hsm.js';
import { newMaskingKey } from '../../hsm/masking.js';
import { settingKey } from '../../hsm/setting-rows.js';
import { FIRST_PASSWORD, hashNewPassword } from '../../hsm/user-rules.js';
import type { RecordStore } from '../../store/record-store.js';
import type { Member } from '../../wire/hsm-frames.js';
import type { ClusterTrust, HsmEvents, HsmHost, HsmIdentity, HsmPlace } from '../hsm-host.js';
import {
  boardOf,
  deviceCertificatesOf,
  newDeviceCertificates,
  newHsmIdentity,
  type Roots,
} from '../identity/hardware.js';
import { newPeerIdentity } from '../identity/peers.js';
import { type HsmFolders, newHsmStore, openHsmStore, takeAwayStore } from './hsm-store.js';
import { LocalCluster } from './local-cluster.js';
import { OwnRoster, type Roster } from './roster.js';

const TAMPERED = 'It was tampered with and has zeroised its keys.';

export interface LocalHsmsParts extends HsmFolders {
  readonly settingsOf: (place: HsmPlace) => HsmSettings;
  /** Takes what only one process may have. Throws ALREADY_RUNNING. */
  readonly claim?: (hsmId: string) => void;
  readonly backupKeys: BackupKeys;
  readonly roots: Roots;
  readonly ports: readonly number[];
  readonly synchronisationMs: number;
  /** Which HSMs a cluster has that are elsewhere; without it, all are here. */
  readonly roster?: Roster;
  readonly log: Log;
}

interface Running {
  readonly place: HsmPlace;
  readonly hsm: Hsm;
  readonly store: RecordStore;
}

/** HSMs in this process, each with a store and an ENI address of its own. */
export class LocalHsms implements HsmHost {
  readonly #running = new Map<string, Running>();
  readonly #clusters = new Map<string, LocalCluster>();
  /** An HSM is made, started, looked after and taken away one after the other. */
  readonly #turns = new Turns<string>();
  #events: HsmEvents | undefined;

  constructor(private readonly parts: LocalHsmsParts) {}

  /** Clusters that programs can use: those that have HSMs and an owner. */
  get clusters(): readonly Cluster[] {
    return [...this.#clusters.values()].map(({ cluster }) => cluster).filter(({ hsms }) => hsms.length > 0);
  }

  get servers(): readonly HsmServer[] {
    return [...this.#clusters.values()].flatMap(({ servers }) => servers);
  }

  /** Where these HSMs listen. */
  addressesOf(hsms: readonly NamedHsm[]): readonly string[] {
    return hsms.flatMap(({ settings }) => this.#running.get(settings.id)?.place.eniIp ?? []);
  }

  watch(events: HsmEvents): void {
    this.#events = events;
  }

  #of(hsmId: string): Running {
    const running = this.#running.get(hsmId);
    if (running === undefined) throw new Error(`${hsmId} does not run here`);
    return running;
  }

  #settings(place: HsmPlace): HsmSettings {
    return { ...this.parts.settingsOf(place), backupKeys: this.parts.backupKeys };
  }

  create(place: HsmPlace, container: Buffer | undefined): Promise<void> {
    return this.#turns.take(place.hsmId, () => this.#create(place, container));
  }

  async #create(place: HsmPlace, container: Buffer | undefined): Promise<void> {
    this.parts.claim?.(place.hsmId);
    await this.#remove(place.hsmId, false);
    const store = newHsmStore(this.parts.directory, place.hsmId);
    try {
      if (container === undefined) await this.#provision(store, place);
      else await restoreHsm(store, this.#settings(place), [container], this.parts.log);
    } catch (error) {
      await store.close();
      throw error;
    }
    await this.#open(store, place);
  }

  /** An HSM that was made of a backup is other hardware with the same key. */
  async #certify(hsm: Hsm, store: RecordStore, place: HsmPlace): Promise<void> {
    const clusterKey = store.get('settings', settingKey('cluster-key'));
    if (hsm.deviceCertificates !== undefined || clusterKey === undefined) return;
    const spki = rsaPublicKeyInfo(rsaPrivateComponents(clusterKey));
    clusterKey.fill(0);
    const board = boardOf(place.hsmId, place.ordinal);
    await hsm.keepDeviceCertificates(await newDeviceCertificates(this.parts.roots, place, board, spki));
  }

  /** A new HSM: it has made the cluster's key pair and waits for its owner. */
  async #provision(store: RecordStore, place: HsmPlace): Promise<void> {
    const board = boardOf(place.hsmId, place.ordinal);
    const [{ identity, clusterKey }, passwordHash] = await Promise.all([
      newHsmIdentity(this.parts.roots, place, board),
      hashNewPassword(FIRST_PASSWORD),
    ]);
    await store.write([
      { table: 'settings', key: settingKey('hsm-identity'), value: Buffer.from(JSON.stringify(identity)) },
      { table: 'settings', key: settingKey('cluster-key'), value: clusterKey },
      deviceCertificatesChange(deviceCertificatesOf(this.parts.roots, place, identity)),
    ]);
    clusterKey.fill(0);
    const maskingKey = newMaskingKey();
    await Hsm.provision(store, { maskingKey, users: [{ name: 'admin', role: 'PRECO', passwordHash }] });
    maskingKey.fill(0);
  }

  start(place: HsmPlace): Promise<void> {
    return this.#turns.take(place.hsmId, () => this.#start(place));
  }

  async #start(place: HsmPlace): Promise<void> {
    if (this.#running.has(place.hsmId)) return;
    this.parts.claim?.(place.hsmId);
    await this.#open(openHsmStore(this.parts.directory, place.hsmId), place);
  }

  check(place: HsmPlace): Promise<void> {
    return this.#turns.take(place.hsmId, () => this.#check(place));
  }

  async #check(place: HsmPlace): Promise<void> {
    const { hsmId, clusterId } = place;
    await this.#start(place);
    const { hsm, store } = this.#of(hsmId);
    if (hsm.condition === 'tamper') throw new Error(TAMPERED);
    // Sealed values tell whether they are what was written.
    const maskingKey = store.get('settings', settingKey('masking-key'));
    if (maskingKey === undefined) throw commandFailure('CORRUPT_STORE', `${hsmId} has lost what it kept`);
    maskingKey.fill(0);
    await this.#clusters.get(clusterId)?.listenAgain(hsmId);
  }

  async #open(store: RecordStore, place: HsmPlace): Promise<void> {
    const hsm = await Hsm.open(store, this.#settings(place), this.parts.log).catch(async (error: unknown) => {
      await store.close();
      throw error;
    });
    await hsm.limitWrites(place.limitsWrites);
    await this.#certify(hsm, store, place);
    hsm.onActivated = () => this.#events?.activated(place.hsmId);
    hsm.onLogin = () => this.#events?.used(place.hsmId);
    hsm.onTampered = () => this.#events?.failed(place.hsmId, TAMPERED);
    this.#running.set(place.hsmId, { place, hsm, store });
    const trust = store.get('settings', settingKey('cluster-trust'));
    if (trust !== undefined) await this.#join(place.hsmId, JSON.parse(trust.toString()) as ClusterTrust);
  }

  async #join(hsmId: string, trust: ClusterTrust): Promise<void> {
    const { place, hsm, store } = this.#of(hsmId);
    const { clusterId: id, hsmType, mode } = place;
    let cluster = this.#clusters.get(id);
    if (cluster === undefined) {
      const { ports, synchronisationMs, roster = new OwnRoster(), log } = this.parts;
      cluster = new LocalCluster({ id, hsmType, mode }, ports, synchronisationMs, roster, log);
      this.#clusters.set(id, cluster);
    }
    const clusterKey = store.get('settings', settingKey('cluster-key'))!;
    await cluster.join(hsm, place, trust, clusterKey);
    clusterKey.fill(0);
  }

  async identity(hsmId: string): Promise<HsmIdentity> {
    const identity = this.#of(hsmId).store.get('settings', settingKey('hsm-identity'));
    if (identity === undefined) throw new Error(`${hsmId} is in a cluster and shows no more of itself`);
    return JSON.parse(identity.toString()) as HsmIdentity;
  }

  /** For a client of this machine, whatever certificates the cluster's owner has issued. */
  async clientIdentity(hsmId: string): Promise<TlsIdentity> {
    const { store } = this.#of(hsmId);
    const trust = store.get('settings', settingKey('cluster-trust'));
    if (trust === undefined) throw new Error(`the cluster of ${hsmId} has no owner yet`);
    const { trustAnchor } = JSON.parse(trust.toString()) as ClusterTrust;
    const clusterKey = store.get('settings', settingKey('cluster-key'))!;
    const { certificate, privateKey } = await newPeerIdentity(clusterKey, 'cloudhsm-local', 'client');
    clusterKey.fill(0);
    return { certificate, privateKey, trustAnchor };
  }

  initialize(hsmId: string, trust: ClusterTrust): Promise<void> {
    return this.#turns.take(hsmId, () => this.#initialize(hsmId, trust));
  }

  async #initialize(hsmId: string, trust: ClusterTrust): Promise<void> {
    const { store } = this.#of(hsmId);
    if (store.get('settings', settingKey('cluster-trust')) !== undefined) return;
    await store.write([
      { table: 'settings', key: settingKey('cluster-trust'), value: Buffer.from(JSON.stringify(trust)) },
      { table: 'settings', key: settingKey('hsm-identity'), value: undefined },
    ]);
    await this.#join(hsmId, trust);
  }

  async isActivated(hsmId: string): Promise<boolean> {
    return this.#of(hsmId).hsm.users.find('admin')?.role !== 'PRECO';
  }

  async isInUse(hsmId: string): Promise<boolean> {
    return this.#of(hsmId).hsm.inUse;
  }

  async limitWrites(hsmId: string, limited: boolean): Promise<void> {
    await this.#of(hsmId).hsm.limitWrites(limited);
  }

  /** The first half of `retire`, where other HSMs are elsewhere: they still take over what only this one has. */
  async dismissClients(hsmId: string): Promise<void> {
    const { hsm, place } = this.#of(hsmId);
    this.#clusters.get(place.clusterId)?.dismissClients(hsmId);
    await hsm.limitWrites(true);
  }

  /** Takes over what only an HSM has, elsewhere, that leaves. */
  async inheritFrom(leaving: Member): Promise<void> {
    for (const cluster of this.#clusters.values()) await cluster.inheritFrom(leaving);
  }

  async backUp(hsmId: string): Promise<Buffer> {
    const { hsm, place } = this.#of(hsmId);
    const pieces: Buffer[] = [];
    for await (const piece of hsm.backUp(place.clusterId)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async retire(hsmId: string): Promise<void> {
    const { hsm, place } = this.#of(hsmId);
    await this.#clusters.get(place.clusterId)?.leave(hsmId);
    // What was under way, and somebody may be told is done, is in the backup that follows.
    await hsm.limitWrites(true);
  }

  remove(hsmId: string, setsAside: boolean): Promise<void> {
    return this.#turns.take(hsmId, () => this.#remove(hsmId, setsAside));
  }

  async #remove(hsmId: string, setsAside: boolean): Promise<void> {
    const running = this.#running.get(hsmId);
    if (running !== undefined) {
      await this.retire(hsmId);
      this.#running.delete(hsmId);
      await running.hsm.close();
    }
    takeAwayStore(this.parts, hsmId, setsAside, this.parts.log);
  }

  /** The roster says something else. */
  follow(): void {
    for (const cluster of this.#clusters.values()) cluster.follow();
  }

  /** Ends all of them; what they keep stays. */
  async close(): Promise<void> {
    for (const { place, hsm } of this.#running.values()) {
      await this.retire(place.hsmId);
      await hsm.close();
    }
    this.#running.clear();
  }
}
