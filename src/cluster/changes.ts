import { describeError, Failure } from '../base/errors.js';
import { type Eventually, orElse, reasonsOf } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import type { HsmConnection } from '../hsm/hsm.js';
import { LimitedToReads } from '../hsm/limited-writes.js';
import { isBusy, isLoss } from '../hsm/unavailable.js';
import type { CkrName } from '../pkcs11/ckr.js';
import { isNoObject } from './seat.js';
import type { Seats } from './seats.js';

/** @param first one of those that are given it reports for all */
export type ChangeCommand = (connection: HsmConnection, first: boolean) => Eventually<void>;

/** It has answered, and not done it. */
const isRefusal = (error: unknown): boolean => !isNoObject(error) && !isLoss(error);

/** Answers of an HSM that would do it if it could: its disk is full or read-only, it ends, or something in it is wrong. */
const unable: ReadonlySet<string> = new Set<CkrName>([
  'CKR_TOKEN_WRITE_PROTECTED',
  'CKR_DEVICE_MEMORY',
  'CKR_DEVICE_REMOVED',
  'CKR_GENERAL_ERROR',
]);
/** Limited-write mode is a rule: a backup of such an HSM must miss nothing that somebody is told is done (src/hsm/limited-writes.ts). */
const isUnable = (error: unknown): boolean =>
  isRefusal(error) &&
  !(error instanceof LimitedToReads) &&
  (!(error instanceof Failure) || isBusy(error) || unable.has(error.code));

/** An HSM has what others had when it was asked to. */
const caughtUp = async (connection: HsmConnection): Promise<void> =>
  connection.send('synchronize', undefined);

/**
 * What changes or ends an object that all HSMs have.
 *
 * It is done as soon as one HSM has done it: nothing takes back a tombstone or a later version, and the others get both by
 * synchronising. So a program is told that an HSM could not do it only where none has. What an HSM refuses by its rules it is told
 * in any case: the key is not the same on all of them.
 */
export class Changes {
  constructor(
    private readonly seats: Seats,
    private readonly log: Log,
  ) {}

  async onAll(handle: number, command: ChangeCommand): Promise<void> {
    // An HSM that others use already would serve them as if nothing had changed until it has caught up.
    const heard = this.seats.arrivals.unheard();
    if (heard !== undefined) await heard;
    for (let again = false; ; again = true) {
      const failed = new Map<HsmConnection, unknown>();
      const results = await this.#give(command, failed);
      const failures = reasonsOf(results);
      const isDone = failures.length < results.length;
      if (isDone) this.#remind(handle, failed);
      const refused = failures.find((error) => isRefusal(error) && !(isDone && isUnable(error)));
      if (refused !== undefined) throw refused;
      if (isDone) return this.#catchUp(failed);
      const missing = failures.find(isNoObject);
      // An HSM that was lost before it answered may have done it, and told the others.
      if (missing !== undefined && again) return;
      if (missing !== undefined) throw missing;
      // All of them were lost: the next ones will do it, and doing it twice changes nothing.
    }
  }

  /** @param failed gets what each HSM said that has not done it */
  #give(command: ChangeCommand, failed: Map<HsmConnection, unknown>): Promise<PromiseSettledResult<void>[]> {
    let first = true;
    return this.seats.sendToAll((connection) => {
      const isFirst = first;
      first = false;
      return orElse(
        () => command(connection, isFirst),
        (error) => {
          failed.set(connection, error);
          throw error;
        },
      );
    });
  }

  /** An HSM that has not got the object may just be getting it from another one, as it was: that it is otherwise now, or no more, comes
   * with the next round. Until then it would serve what the program was told is gone. */
  async #catchUp(failed: ReadonlyMap<HsmConnection, unknown>): Promise<void> {
    const lacking = [...failed].filter(([, error]) => isNoObject(error));
    await Promise.allSettled(lacking.map(([connection]) => caughtUp(connection)));
  }

  /** Those that could not do what others did get it from them: now, if they can by now, or with a later round. */
  #remind(handle: number, failed: ReadonlyMap<HsmConnection, unknown>): void {
    for (const [connection, error] of failed) {
      if (!isUnable(error)) continue;
      const why = `has not done what other HSMs did, and serves the key as it was until it has got that from them: ${describeError(error)}`;
      this.log.warn({ hsm: connection.hsmId, handle }, why);
      void caughtUp(connection).catch(() => undefined);
    }
  }
}
