import { Failure } from '../base/errors.js';
import type { Eventually } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import type { Hsm, HsmConnection } from '../hsm/hsm.js';
import {
  DESTROYED,
  differingBuckets,
  isNewer,
  isWithdrawal,
  type ObjectVersion,
} from '../hsm/object-versions.js';
import { nameOf } from '../hsm/user-identity.js';
import { Complaints } from './complaints.js';

/** How an HSM gets to another one of its cluster, as an HSM. */
export interface Peer {
  readonly hsmId: string;
  connect(): Eventually<HsmConnection>;
}

/** A user of that name may have been made again while one of the HSMs was away (src/hsm/user-identity.ts). */
function whyNoOwner(users: Hsm['users'], identity: string): string {
  const name = nameOf(identity);
  return users.find(name) === undefined
    ? `there is no user ${name}`
    : `it belongs to another user of the name ${name}, which was deleted and made again on one of the HSMs`;
}

/** Whether an earlier state of an object, on another HSM, may have changes that the later one here lacks (src/objects/change-marks.ts). */
const mayHaveOther = (entry: ObjectVersion, own: ObjectVersion | undefined): boolean =>
  own !== undefined &&
  own.version !== DESTROYED &&
  entry.version > 1 &&
  !isWithdrawal(own) &&
  !isWithdrawal(entry) &&
  !entry.digest.equals(own.digest) &&
  isNewer(own, entry);

const nameOfState = ({ handle, digest }: ObjectVersion): string => `${handle} ${digest.toString('hex')}`;

/** Objects on their way at a time: they share the syncs of the disk. */
const OBJECTS_UNDER_WAY = 32;

/**
 * Server-side synchronisation: repairs what client-side synchronisation missed, a client that died half way or an HSM that was
 * away. Each HSM takes from every other one what is later there (object-versions.ts), or was changed only there; nobody pushes.
 */
export class Synchronizer {
  readonly #connections = new Map<string, HsmConnection>();
  /** By HSM: earlier states of objects there that were looked at, and have nothing that is not here. */
  readonly #seenThrough = new Map<string, ReadonlySet<string>>();
  readonly #complaints: Complaints;
  #round: Promise<void> | undefined;
  #nextRound: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param peers the other HSMs, as they are now */
  constructor(
    private readonly hsm: Hsm,
    private readonly peers: () => readonly Peer[],
    private readonly log: Log = hsm.log,
  ) {
    hsm.catchUp = () => this.catchUp();
    this.#complaints = new Complaints(log, 'synchronised', (from) => ({ hsm: hsm.settings.id, from }));
  }

  /** A round every so often, from now on. */
  start(intervalMs: number): void {
    if (this.#stopped) return;
    this.#timer = setInterval(() => void this.catchUp(), intervalMs).unref();
  }

  /** Resolves when nothing of it works on the HSM any more, which may be closed then. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
    await this.#round;
  }

  /** A round that begins now, or as soon as the one under way is over: it sees everything that is there when it is asked for. */
  catchUp(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (this.#round === undefined) {
      this.#round = this.#all().finally(() => {
        this.#round = undefined;
      });
      return this.#round;
    }
    this.#nextRound ??= this.#round.then(() => {
      this.#nextRound = undefined;
      return this.catchUp();
    });
    return this.#nextRound;
  }

  async #all(): Promise<void> {
    const peers = this.peers().filter(({ hsmId }) => hsmId !== this.hsm.settings.id);
    await Promise.all(peers.map((peer) => this.#from(peer)));
  }

  /** What is later on an HSM that leaves: there is no further round with it. */
  async inheritFrom(peer: Peer): Promise<void> {
    await this.#from(peer);
    this.#connections.get(peer.hsmId)?.close();
    this.#connections.delete(peer.hsmId);
  }

  async #from(peer: Peer): Promise<void> {
    const known = this.#connections.has(peer.hsmId);
    try {
      // Of a connection that has lasted since the round before, the peer may have lost its end.
      await this.#tryFrom(peer).catch((error: unknown) => {
        if (!known || this.#stopped) throw error;
        return this.#tryFrom(peer);
      });
      this.#complaints.worked(peer.hsmId);
    } catch (error) {
      if (!this.#stopped) this.#complaints.failed(peer.hsmId, error);
    }
  }

  async #tryFrom(peer: Peer): Promise<void> {
    try {
      const connection = this.#connections.get(peer.hsmId) ?? (await peer.connect());
      if (this.#stopped) {
        connection.close();
        return;
      }
      this.#connections.set(peer.hsmId, connection);
      const taken = await this.#take(peer.hsmId, connection);
      if (taken > 0) {
        this.log.info(
          { hsm: this.hsm.settings.id, from: peer.hsmId, objects: taken },
          'took over what was later there',
        );
      }
    } catch (error) {
      this.#connections.get(peer.hsmId)?.close();
      this.#connections.delete(peer.hsmId);
      throw error;
    }
  }

  /** How many objects have changed here. */
  async #take(hsmId: string, peer: HsmConnection): Promise<number> {
    const { versions } = this.hsm.objects;
    const buckets = differingBuckets(versions.digests(), await peer.send('objectDigests', undefined));
    if (buckets.length === 0) {
      this.#seenThrough.delete(hsmId);
      return 0;
    }
    const own = new Map(versions.entries(buckets).map((entry) => [entry.handle, entry]));
    const theirs = await peer.send('objectVersions', { buckets });
    const wanted = theirs.filter((entry) => isNewer(entry, own.get(entry.handle)));
    const changed = theirs.filter((entry) => mayHaveOther(entry, own.get(entry.handle)));
    const seen = this.#seenThrough.get(hsmId) ?? new Set();
    wanted.push(...changed.filter((entry) => !seen.has(nameOfState(entry))));
    let taken = 0;
    for (let at = 0; at < wanted.length; at += OBJECTS_UNDER_WAY) {
      const some = wanted.slice(at, at + OBJECTS_UNDER_WAY);
      const results = await Promise.all(some.map((entry) => this.#takeOne(peer, entry)));
      taken += results.filter(Boolean).length;
    }
    this.#seenThrough.set(hsmId, new Set(changed.map(nameOfState)));
    return taken;
  }

  /** Whether there was anything to take. */
  async #takeOne(peer: HsmConnection, entry: ObjectVersion): Promise<boolean> {
    const { handle, version } = entry;
    const { objects, maskingKey, users, settings, handles } = this.hsm;
    handles.passBy(handle);
    if (version === DESTROYED) {
      await objects.bury(handle);
      return true;
    }
    if (isWithdrawal(entry)) {
      await objects.withdraw(handle, version);
      return true;
    }
    try {
      const object = maskingKey.unmask(await peer.send('extractMaskedObject', { handle }));
      // "A key whose owner is missing on an HSM cannot be synced there" (tools reference, section 7).
      if (users.owner(object.owner) !== undefined) return await objects.adopt(object);
      this.log.warn({ hsm: settings.id, handle }, `not synchronised: ${whyNoOwner(users, object.owner)}`);
    } catch (error) {
      // Destroyed meanwhile: the next round brings its tombstone.
      if (!(error instanceof Failure) || error.code !== 'CKR_OBJECT_HANDLE_INVALID') throw error;
    }
    return false;
  }
}
