import { Failure } from '../base/errors.js';
import { type Eventually, reasonsOf } from '../base/eventually.js';
import type { Created } from '../hsm/commands/create.js';
import type { HsmConnection } from '../hsm/hsm.js';
import { isLoss } from '../hsm/unavailable.js';
import { ckr } from '../pkcs11/ckr.js';
import { type AvailabilityCheck, HSMS_WITH_KEY } from './key-availability.js';
import { isNoObject } from './seat.js';
import type { Seats } from './seats.js';

/** What one HSM has made, and the cluster has still to get: client-side synchronisation (reference section 7). */
export class NewObjects {
  /** @param options on how many HSMs a new token object must be (create_object_minimum_nodes: reference 14.1), which tools change */
  constructor(
    private readonly seats: Seats,
    private readonly availability: AvailabilityCheck,
    private readonly options: { readonly minimumNodes?: number },
  ) {}

  /** Brings new token objects to every HSM, or, if one of them refuses or too few take them, to none. Answers the first
   * one's handle. */
  settle(created: readonly [Created, ...Created[]], cause?: string): Eventually<number> {
    const [{ handle }] = created;
    let isToken = false;
    for (const one of created) {
      if (one.masked !== undefined) isToken = true;
      else if (this.seats.spreads) this.seats.sessionKeys.note(one.handle, one.destroyable);
    }
    return isToken ? this.#insertOrGiveUp(created, cause).then(() => handle) : handle;
  }

  get #minimumNodes(): number {
    return this.options.minimumNodes ?? 1;
  }

  async #insertOrGiveUp(created: readonly Created[], cause: string | undefined): Promise<void> {
    const key = created.find(({ masked, isKey }) => masked !== undefined && isKey);
    try {
      // "Creation also fails when fewer than two HSMs take the key" (reference 14.1).
      const refuseKey = (): void => {
        if (key !== undefined) this.availability.refuse(key.handle, cause);
      };
      const wanted = Math.max(this.#minimumNodes, key === undefined ? 1 : this.availability.wanted);
      if (this.seats.writable.length < wanted) await this.seats.arrivals.coming();
      // With none at all it waits for those that come.
      const known = this.seats.writable.length;
      const tooFew = known > 0 && known < HSMS_WITH_KEY;
      if (tooFew) refuseKey();
      const taken = await this.#insert(created, wanted);
      if (taken < HSMS_WITH_KEY && !tooFew) refuseKey();
      if (taken >= HSMS_WITH_KEY)
        for (const { handle, masked } of created) if (masked !== undefined) this.availability.note(handle);
    } catch (error) {
      await this.#giveUp(created);
      throw error;
    }
  }

  /** The number of HSMs that took it: fewer than are wanted only where no more can be had. */
  async #insert(created: readonly Created[], wanted: number): Promise<number> {
    const all = created.flatMap(({ masked }) => (masked === undefined ? [] : [masked]));
    const insert = () => this.seats.sendToAll((connection) => insertedBy(connection, all));
    let results = await insert();
    // All of them were lost: the next ones take it. Inserting it twice changes nothing.
    while (reasonsOf(results).filter(isLoss).length === results.length) results = await insert();
    // One left meanwhile, and another one may have come.
    if (results.length - reasonsOf(results).length < wanted) {
      await this.seats.arrivals.coming();
      if (this.seats.writable.length >= wanted) results = await insert();
    }
    const failures = reasonsOf(results);
    // One that says that it has not got it has not taken it; synchronisation brings it.
    const refused = failures.find((reason) => !isLoss(reason) && !isNoObject(reason));
    const taken = results.length - failures.length;
    if (refused === undefined && taken >= this.#minimumNodes) return taken;
    if (refused instanceof Failure) throw refused;
    const text = `${taken} HSMs took the new object, and ${this.#minimumNodes} must`;
    throw ckr('CKR_FUNCTION_FAILED', text, refused ?? failures[0]);
  }

  /** No half without the other: takes back what was made. Whoever took a token object and is lost now learns of its end by the
   * tombstone of the others. */
  async #giveUp(created: readonly Created[]): Promise<void> {
    const tokenObjects = created.filter(({ masked }) => masked !== undefined);
    const onAll = this.seats.sendToAll(async (connection) => {
      await Promise.allSettled(
        tokenObjects.map(async ({ handle }) => connection.send('withdrawObject', { handle })),
      );
    });
    const atHome = created
      .filter(({ masked }) => masked === undefined)
      .map(async ({ handle }) => {
        this.seats.sessionKeys.forget(handle);
        await (await this.seats.home()).send('endSessionObject', { handle });
      });
    await Promise.allSettled([onAll, ...atHome]);
  }
}

/** Inserts masked objects, all at once. */
function insertedBy(connection: HsmConnection, all: readonly Buffer[]): Eventually<unknown> {
  const insert = (masked: Buffer) => connection.send('insertMaskedObject', { masked });
  return all.length === 1 ? insert(all[0]!) : Promise.all(all.map(async (masked) => insert(masked)));
}
