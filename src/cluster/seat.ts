import { describeError, Failure } from '../base/errors.js';
import { isPromise } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { Role } from '../hsm/roles.js';
import { HsmUnavailable } from '../hsm/unavailable.js';
import type { DeviationListener } from '../objects/gate.js';
import { type CkrName, ckr } from '../pkcs11/ckr.js';
import type { ClientSwitches } from '../wire/hsm-frames.js';
import type { HsmLink } from './links.js';

export interface Login {
  readonly name: string;
  readonly password: string;
  readonly role: Role;
}

/** Who sits there, as an HSM sees it. */
export interface SeatClient {
  readonly allowed: DeviationListener;
  readonly switches: ClientSwitches;
  readonly presented: readonly Buffer[] | undefined;
}

export interface SeatOwner {
  /** Who is logged in, if anybody. */
  login(): Login | undefined;
  /** Resolves when what is being written now has been: a seat that is not writable yet gets none of it. */
  written(): Promise<void>;
  /** The seat is up, or no longer. */
  changed(seat: Seat): void;
  readonly log: Log;
}

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** Who takes longer says nothing: nobody waits for another attempt. */
const ANSWERS_WITHIN_MS = 500;

/** A client's place at one HSM: connected, caught up, lost, and connected again. */
export class Seat {
  /** There while the HSM is connected, whatever it may be relied on for. */
  connection: HsmConnection | undefined;
  #state: 'away' | 'joining' | 'up' = 'away';
  #loggedIn = false;
  /** The HSM has refused the login that others have taken: it would count the same password again as a wrong one. */
  #isRefused = false;
  /** The HSM could not be had for a while. */
  hasBeenAway = false;
  /** Until the first attempt to connect has ended. */
  #isNew = true;
  #retryMs = FIRST_RETRY_MS;
  #triedAtMs = 0;
  /** The last attempt to connect has taken long. */
  #isSilent = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    readonly link: HsmLink,
    private readonly client: SeatClient,
    private readonly owner: SeatOwner,
  ) {}

  get hsmId(): string {
    return this.link.hsmId;
  }

  /** The client relies on the HSM. */
  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** It will be up in a moment, unless it is lost before. */
  get isComing(): boolean {
    return this.#state === 'joining' || (this.#isNew && !this.isUp);
  }

  /** It is connected, and nobody is logged in there. */
  get needsLogin(): boolean {
    return this.connection !== undefined && !this.#loggedIn;
  }

  /** It takes what is written: at the latest now it must, because it has caught up with what was written before. */
  get writable(): boolean {
    return this.connection !== undefined && (this.isUp || this.#loggedIn);
  }

  /** @param first an HSM in this process has missed nothing yet */
  open(first = false): void {
    this.#timer = undefined;
    if (this.#closed) return;
    this.#triedAtMs = performance.now();
    let opened: HsmConnection | undefined;
    const lost = (): void => {
      if (this.connection === opened) this.lose();
    };
    const { allowed, switches, presented } = this.client;
    try {
      const connecting = this.link.connect(allowed, switches, lost, presented);
      if (isPromise(connecting)) {
        connecting.then(
          (connection) => {
            opened = connection;
            void this.#join(connection);
          },
          () => this.#failed(),
        );
      } else if (first) {
        this.connection = opened = connecting;
        this.#becomeUp();
      } else {
        opened = connecting;
        void this.#join(connecting);
      }
    } catch {
      this.#failed();
    }
  }

  #becomeUp(): void {
    this.#state = 'up';
    this.#isNew = false;
    this.#isSilent = false;
    this.#retryMs = FIRST_RETRY_MS;
    this.owner.changed(this);
  }

  async #join(connection: HsmConnection): Promise<void> {
    if (this.#closed) {
      connection.close();
      return;
    }
    this.connection = connection;
    this.#state = 'joining';
    this.#isNew = false;
    this.#loggedIn = false;
    try {
      await this.#followLogin(connection);
      // What was begun before, others have only when it is done: asked sooner, they would not tell of it.
      await this.owner.written();
      await connection.send('synchronize', undefined);
      // Somebody may have logged in or out meanwhile.
      await this.#followLogin(connection);
      if (this.connection === connection) this.#becomeUp();
    } catch {
      if (this.connection === connection) this.lose();
    }
  }

  /** Does not wait for the HSM's next round. */
  catchUp(): void {
    void (async () => this.connection?.send('synchronize', undefined))().catch(() => undefined);
  }

  async #followLogin(connection: HsmConnection): Promise<void> {
    const login = this.owner.login();
    if (login === undefined) return;
    if (this.#isRefused) await this.#requireAnotherPassword(connection, login);
    try {
      await this.login(login);
      this.#isRefused = false;
    } catch (error) {
      if (error instanceof Failure && !(error instanceof HsmUnavailable)) {
        this.#isRefused = true;
        this.owner.log.warn({ hsm: this.hsmId }, `left out: ${describeError(refusedBy(this, error))}`);
      }
      throw error;
    }
  }

  /** Who comes back to an HSM that has another password again and again must not lock the user out there. A new password sets the
   * count back. Throws CKR_PIN_INCORRECT, or CKR_USER_TYPE_INVALID where there is no such user. */
  async #requireAnotherPassword(connection: HsmConnection, { name }: Login): Promise<void> {
    const { wrongPasswords } = await connection.send('getUserInfo', { name });
    if (wrongPasswords > 0) throw ckr('CKR_PIN_INCORRECT', `${this.hsmId} still has another password`);
  }

  /** There is another login, or none. */
  forgetRefusal(): void {
    this.#isRefused = false;
  }

  async login(login: Login): Promise<void> {
    const { connection } = this;
    if (this.#loggedIn || connection === undefined) return;
    try {
      await connection.send('login', login);
    } catch (error) {
      // By a login and a join at the same time.
      const already = error instanceof Failure && error.code === 'CKR_USER_ALREADY_LOGGED_IN';
      if (!already || this.isUp) throw error;
    }
    if (this.connection === connection) this.#loggedIn = true;
  }

  async logout(): Promise<void> {
    this.#loggedIn = false;
    try {
      await this.connection?.send('logout', undefined);
    } catch {
      // Lost: then nobody is logged in there either.
    }
  }

  /** The HSM does not answer: it is left out until it does. */
  lose(): void {
    const { connection } = this;
    if (connection === undefined) return;
    this.connection = undefined;
    this.#state = 'away';
    this.#loggedIn = false;
    connection.close();
    this.owner.changed(this);
    this.#retryLater();
  }

  /** Does not wait for the next attempt to connect, as somebody needs the HSM now, unless it says nothing. */
  hurry(): void {
    if (this.#closed || this.#state !== 'away' || this.#isSilent) return;
    this.#isNew = true;
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.open();
  }

  #failed(): void {
    this.#isSilent = performance.now() - this.#triedAtMs > ANSWERS_WITHIN_MS;
    this.#retryLater();
  }

  #retryLater(): void {
    this.hasBeenAway = true;
    if (this.#isNew) {
      this.#isNew = false;
      this.owner.changed(this);
    }
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.open(), this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
  }

  close(): void {
    this.#closed = true;
    this.#isNew = false;
    this.#state = 'away';
    clearTimeout(this.#timer);
    this.connection?.close();
    this.connection = undefined;
  }
}

const missingCodes: ReadonlySet<string> = new Set<CkrName>([
  'CKR_KEY_HANDLE_INVALID',
  'CKR_OBJECT_HANDLE_INVALID',
  'CKR_WRAPPING_KEY_HANDLE_INVALID',
  'CKR_UNWRAPPING_KEY_HANDLE_INVALID',
]);

/** An HSM has not got the object; another one may have it. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Failure && missingCodes.has(error.code);

/** There is no such object on an HSM, whatever was to be done with it. */
export const isNoObject = (error: unknown): boolean =>
  error instanceof Failure && error.code === 'CKR_OBJECT_HANDLE_INVALID';

/** What one HSM refused that others took: it has another user, or the user another password, and somebody has to know which. */
export function refusedBy({ hsmId }: Seat, error: unknown): unknown {
  if (!(error instanceof Failure)) return error;
  const repair = 'set the password on all HSMs';
  return new Failure(error.code, `${hsmId} refuses the login that others take, ${repair}: ${error.message}`, {
    cause: error.cause,
  });
}
