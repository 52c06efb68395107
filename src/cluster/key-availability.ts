import { andThen, type Eventually } from '../base/eventually.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Seats } from './seats.js';

/**
 * What becomes of token keys that are on one HSM only: they are refused, or used all the same. `unless` is asked whether this
 * one may be, with what the client called its request.
 */
export type KeyAvailability =
  | 'required'
  | 'off'
  | { readonly unless: (cause: string | undefined) => boolean };

/** "Token keys must exist on at least two HSMs before they can be used" (reference 14.1). */
export const HSMS_WITH_KEY = 2;
/** Keys that are remembered to be on as many. */
const REMEMBERED_KEYS = 100_000;

/** Whether token keys are on enough HSMs to be used. */
export class AvailabilityCheck {
  /** Token keys that were found on enough HSMs: they may be used from then on, also while an HSM is lost (reference 14.3). */
  readonly #available = new Set<number>();

  constructor(
    private readonly seats: Seats,
    private readonly rule: KeyAvailability = 'required',
  ) {}

  /** On how many HSMs a new key is to be, where as many can be had. */
  get wanted(): number {
    return this.rule === 'off' ? 1 : HSMS_WITH_KEY;
  }

  isKnown(handle: number): boolean {
    return this.seats.sessionKeys.has(handle) || this.rule === 'off' || this.#available.has(handle);
  }

  /** Throws CKR_FUNCTION_FAILED for a key on too few. An HSM that has just come, perhaps for one that went, has it too: it is waited for. */
  require(handle: number, cause: string | undefined, waits = true): Eventually<void> {
    return andThen(this.seats.isOn(handle, HSMS_WITH_KEY), (found) => {
      if (found) return this.note(handle);
      const come = waits ? this.seats.arrivals.coming() : undefined;
      if (come === undefined) return this.refuse(handle, cause);
      return come.then(() => this.require(handle, cause, false));
    });
  }

  note(handle: number): void {
    if (this.#available.size >= REMEMBERED_KEYS) this.#available.clear();
    this.#available.add(handle);
  }

  forget(handle: number): void {
    this.#available.delete(handle);
  }

  /** Throws CKR_FUNCTION_FAILED, unless such keys may be used. */
  refuse(handle: number, cause: string | undefined): void {
    if (this.rule === 'off') return;
    if (typeof this.rule === 'object' && this.rule.unless(cause)) return;
    // The real library's words (reference 14.1).
    throw ckr(
      'CKR_FUNCTION_FAILED',
      `Key ${handle} does not meet the availability requirements - The key must be available on at least ${HSMS_WITH_KEY} HSMs before being used.`,
    );
  }
}
