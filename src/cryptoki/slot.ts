import type { LibraryOptions } from '../base/client-config.js';
import { Failure } from '../base/errors.js';
import type { ClusterView, NamedHsm } from '../cluster/cluster.js';
import type { ClusterClient } from '../cluster/cluster-client.js';
import { wrongCredentials } from '../hsm/login-refused.js';
import type { Profile } from '../objects/deviations.js';
import { type DeviationListener, Gate } from '../objects/gate.js';
import { ckr } from '../pkcs11/ckr.js';

/** A slot of an application: one configured cluster. */
export interface Slot {
  readonly index: number;
  readonly cluster: ClusterView;
  readonly profile: Profile;
  readonly options: LibraryOptions;
  readonly keyAvailability: 'required' | 'off' | 'profile';
  /** The certificates, DER, by which the application shows the cluster's HSMs who it is. */
  readonly presented?: readonly Buffer[] | undefined;
  /** HSMs that the application's configuration switches off, by id. */
  readonly isDisabled?: (hsm: NamedHsm) => boolean;
}

/** A program is told CKR_PIN_INCORRECT, for an unknown user too (reference section 5 [guess]). */
function untold(error: unknown): never {
  const isWrong = error instanceof Failure && wrongCredentials.has(error.code);
  throw isWrong ? ckr('CKR_PIN_INCORRECT', 'no such user, or a wrong password', error) : error;
}

/** One application's token in a slot: its connection to the cluster, and the login that all its sessions share. */
export class Token {
  readonly client: ClusterClient;
  /** For deviations that are the library's own affair and no HSM's. */
  readonly gate: Gate;
  #user: string | undefined;
  #loggingIn: Promise<void> | undefined;

  /** `allowed` learns of the deviations that the cluster's HSMs or this library allow. */
  constructor(
    readonly slot: Slot,
    allowed: DeviationListener,
  ) {
    this.gate = new Gate(slot.profile, allowed);
    const unless = (cause: string | undefined): boolean =>
      this.gate.permits('key-availability-one-hsm', cause);
    const { retries } = slot.options;
    this.client = slot.cluster.connect({
      uses: (hsm) => slot.isDisabled?.(hsm) !== true,
      allowed,
      switches: slot.options.switches,
      presented: slot.presented,
      ...(retries !== undefined && { retries }),
      keyAvailability: slot.keyAvailability === 'profile' ? { unless } : slot.keyAvailability,
    });
  }

  get user(): string | undefined {
    return this.#user;
  }

  get loggedIn(): boolean {
    return this.#user !== undefined;
  }

  /** Of several logins at once one succeeds and the others find it done: CKR_USER_ALREADY_LOGGED_IN. */
  async login(name: string, password: string): Promise<void> {
    while (this.#loggingIn !== undefined) await this.#loggingIn.catch(() => undefined);
    this.requireNoLogin();
    this.#loggingIn = this.client.login(name, password).catch(untold);
    try {
      await this.#loggingIn;
      this.#user = name;
    } finally {
      this.#loggingIn = undefined;
    }
  }

  /** Throws CKR_USER_ALREADY_LOGGED_IN. A login that all HSMs have lost is in the way until C_Logout, as on CloudHSM. */
  requireNoLogin(): void {
    if (this.#user === undefined) return;
    const why = this.client.loggedIn ? '' : ', but all HSMs were lost since: call C_Logout before C_Login';
    throw ckr('CKR_USER_ALREADY_LOGGED_IN', `${this.#user} is logged in${why}`);
  }

  async logout(): Promise<void> {
    if (this.#user === undefined) throw ckr('CKR_USER_NOT_LOGGED_IN', 'nobody is logged in');
    this.#user = undefined;
    await this.client.logout();
  }

  close(): void {
    this.#user = undefined;
    this.client.close();
  }
}
