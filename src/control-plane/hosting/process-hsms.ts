import type { ChildProcess } from 'node:child_process';
import { hsmTypes } from '../../base/cluster-kind.js';
import { describeError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { Turns } from '../../base/turns.js';
import type { TlsIdentity } from '../../cluster/tls.js';
import type { Member, Members } from '../../wire/hsm-frames.js';
import type { ClusterTrust, HsmEvents, HsmHost, HsmIdentity, HsmPlace } from '../hsm-host.js';
import { HsmProcess, type Patience } from './hsm-process.js';
import { type HsmFolders, takeAwayStore } from './hsm-store.js';
import { nextVersion } from './roster.js';

export interface ProcessHsmsParts extends HsmFolders {
  /** Starts a process that serves calls (hosted.ts), with a channel that takes Buffers. */
  readonly spawn: (hsmId: string) => ChildProcess;
  /** What a process is told first. */
  readonly beginning: unknown;
  /** Learns where the HSMs of a cluster are, which has an owner, whenever that changes. */
  readonly moved: (members: Members) => void;
  readonly patience?: Patience | undefined;
  readonly log: Log;
}

interface Hosted {
  place: HsmPlace;
  readonly process: HsmProcess;
  /** It was made or started here: what it keeps is whole. */
  up: boolean;
  /** Nobody uses it any more. */
  retired: boolean;
  /** Of an HSM whose cluster has an owner: where it listens, or has listened last. */
  member: Member | undefined;
}

/**
 * HSMs in processes of their own, one each. What an HSM keeps is opened there and nowhere else; what comes out are containers
 * that only HSMs open. A process that ends unasked is started again at once, and if that does not help, when the API looks after it.
 */
export class ProcessHsms implements HsmHost {
  readonly #hsms = new Map<string, Hosted>();
  /** By cluster, what was last told of it. */
  readonly #told = new Map<string, Members>();
  readonly #turns = new Turns<string>();
  /** Started again since they were last seen to work: not again by themselves. */
  readonly #revived = new Set<string>();
  #events: HsmEvents | undefined;
  #closed = false;

  constructor(private readonly parts: ProcessHsmsParts) {}

  watch(events: HsmEvents): void {
    this.#events = events;
  }

  /** The processes that run. */
  get pids(): ReadonlyMap<string, number> {
    const running = [...this.#hsms].filter(([, { process }]) => process.running);
    return new Map(running.map(([id, { process }]) => [id, process.pid!]));
  }

  #ofCluster(clusterId: string): Hosted[] {
    return [...this.#hsms.values()].filter(({ place }) => place.clusterId === clusterId);
  }

  /** While its HSMs are of two types, the cluster is what the older ones are: all of them can do that. */
  #membersOf({ clusterId, hsmType, mode }: HsmPlace): Members {
    const hosted = this.#ofCluster(clusterId).filter(({ member }) => member !== undefined);
    const hsms = hosted.map(({ member }) => member!).sort((one, other) => one.ordinal - other.ordinal);
    const oldest = hsmTypes.find((type) => hosted.some(({ place }) => place.hsmType === type));
    const version = nextVersion(this.#told.get(clusterId)?.version ?? 0);
    return { version, clusterId, hsmType: oldest ?? hsmType, mode, hsms };
  }

  /** All HSMs of the cluster, and with them their clients, learn who there is. */
  #announce(place: HsmPlace): void {
    const members = this.#membersOf(place);
    this.#told.set(place.clusterId, members);
    for (const { process } of this.#ofCluster(place.clusterId)) process.tell(members);
    this.parts.moved(members);
  }

  #of(hsmId: string): Hosted {
    const hosted = this.#hsms.get(hsmId);
    if (hosted === undefined) throw new Error(`${hsmId} does not run here`);
    return hosted;
  }

  create(place: HsmPlace, container: Buffer | undefined): Promise<void> {
    return this.#turns.take(place.hsmId, async () => {
      await this.#hsms.get(place.hsmId)?.process.end();
      await this.#begin(place, (process) => process.call('create', place, container));
    });
  }

  start(place: HsmPlace): Promise<void> {
    return this.#turns.take(place.hsmId, () => this.#start(place));
  }

  async #start(place: HsmPlace): Promise<void> {
    const before = this.#hsms.get(place.hsmId);
    if (before?.process.running) return;
    if (this.#closed) throw new Error(`${place.hsmId} is not started any more`);
    if (before?.retired !== true) return this.#begin(place, (process) => process.call('start', place));
    // What is written to it now would not be in its last backup.
    await this.#begin({ ...place, limitsWrites: true }, async (process, limited) => {
      await process.call('start', limited);
      await process.call('retire', place.hsmId);
    });
    this.#of(place.hsmId).retired = true;
  }

  /** Starts a process and lets it have its HSM; one that has none ends. */
  async #begin(
    place: HsmPlace,
    open: (process: HsmProcess, place: HsmPlace) => Promise<void>,
  ): Promise<void> {
    const { hsmId, clusterId } = place;
    const { spawn, beginning, log, patience } = this.parts;
    const listener = {
      activated: (id: string) => this.#events?.activated(id),
      used: (id: string) => this.#events?.used(id),
      failed: (id: string, reason: string) => this.#events?.failed(id, reason),
      members: ([member]: readonly Member[]) => {
        hosted.member = member;
        this.#announce(place);
      },
    };
    const process = new HsmProcess(hsmId, spawn(hsmId), listener, log, patience);
    const member = this.#hsms.get(hsmId)?.member;
    const hosted: Hosted = { place, process, up: false, retired: false, member };
    this.#hsms.set(hsmId, hosted);
    void process.ended.then(() => this.#ended(hosted));
    try {
      await process.call('begin', beginning);
      const known = this.#told.get(clusterId);
      if (known !== undefined) process.tell(known);
      await open(process, place);
      hosted.up = true;
      log.info({ hsm: hsmId, pid: process.pid }, "the HSM's process runs");
    } catch (error) {
      await process.end();
      throw error;
    }
  }

  /** One that ends unasked is started again. */
  #ended(hosted: Hosted): void {
    const { place, up } = hosted;
    const { hsmId } = place;
    if (this.#closed || !up || this.#hsms.get(hsmId) !== hosted) return;
    this.parts.log.warn({ hsm: hsmId, pid: hosted.process.pid }, "the HSM's process has ended");
    if (this.#revived.has(hsmId)) return;
    this.#revived.add(hsmId);
    this.#turns
      .take(hsmId, async () => {
        if (this.#hsms.get(hsmId) === hosted) await this.#start(hosted.place);
      })
      .catch((error) => this.parts.log.warn({ hsm: hsmId }, describeError(error)));
  }

  check(place: HsmPlace): Promise<void> {
    return this.#turns.take(place.hsmId, async () => {
      await this.#start(place);
      await this.#of(place.hsmId).process.call('check', place);
      this.#revived.delete(place.hsmId);
    });
  }

  async identity(hsmId: string): Promise<HsmIdentity> {
    return this.#of(hsmId).process.call('identity', hsmId);
  }

  async initialize(hsmId: string, trust: ClusterTrust): Promise<void> {
    await this.#of(hsmId).process.call('initialize', hsmId, trust);
  }

  async isActivated(hsmId: string): Promise<boolean> {
    return this.#of(hsmId).process.call('isActivated', hsmId);
  }

  async isInUse(hsmId: string): Promise<boolean> {
    return this.#of(hsmId).process.call('isInUse', hsmId);
  }

  async limitWrites(hsmId: string, limited: boolean): Promise<void> {
    const hosted = this.#of(hsmId);
    hosted.place = { ...hosted.place, limitsWrites: limited };
    await hosted.process.call('limitWrites', hsmId, limited);
  }

  /** Who a client of this machine is to the HSM's cluster. */
  async clientIdentity(hsmId: string): Promise<TlsIdentity> {
    return this.#of(hsmId).process.call('clientIdentity', hsmId);
  }

  async backUp(hsmId: string): Promise<Buffer> {
    return this.#of(hsmId).process.call('backUp', hsmId);
  }

  async retire(hsmId: string): Promise<void> {
    const hosted = this.#of(hsmId);
    hosted.retired = true;
    await this.#handOver(hosted);
    await hosted.process.call('retire', hsmId);
  }

  /** Clients let go of an HSM that leaves, and what only it has the others take over. */
  async #handOver(leaving: Hosted): Promise<void> {
    const { member, place } = leaving;
    if (member === undefined) return;
    leaving.member = undefined;
    this.#announce(place);
    await leaving.process.call('dismissClients', place.hsmId);
    const staying = this.#ofCluster(place.clusterId).filter((hosted) => hosted.member !== undefined);
    const taken = await Promise.allSettled(staying.map(({ process }) => process.call('inheritFrom', member)));
    for (const one of taken)
      if (one.status === 'rejected') this.parts.log.warn({ hsm: place.hsmId }, describeError(one.reason));
  }

  remove(hsmId: string, setsAside: boolean): Promise<void> {
    return this.#turns.take(hsmId, async () => {
      const hosted = this.#hsms.get(hsmId);
      // One that has failed has nothing to hand over.
      if (hosted?.process.running && !setsAside)
        await this.#handOver(hosted).catch((error) =>
          this.parts.log.warn({ hsm: hsmId }, describeError(error)),
        );
      this.#hsms.delete(hsmId);
      this.#revived.delete(hsmId);
      if (hosted?.member !== undefined) this.#announce(hosted.place);
      await hosted?.process.end();
      takeAwayStore(this.parts, hsmId, setsAside, this.parts.log);
    });
  }

  /** Ends all of them; what they keep stays. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#turns.idle();
    await Promise.all([...this.#hsms.values()].map(({ process }) => process.end()));
  }
}
