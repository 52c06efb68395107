import { limits } from '../base/limits.js';
import type { Log } from '../base/log.js';
import {
  constantTimeEqual,
  hashPassword,
  hmac,
  importSecretKey,
  randomBytes,
  verifyPassword,
} from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Change, RecordStore } from '../store/record-store.js';

/** CO: administers users. CU: owns and uses keys. AU, app_user: the other HSMs of the cluster, which have no password but a
 * certificate. (tools reference, section 1.1) */
export type Role = 'CO' | 'CU' | 'AU';

export interface User {
  readonly name: string;
  readonly role: Role;
}

interface UserRecord extends User {
  readonly passwordHash: string;
  readonly wrongPasswords: number;
}

/** What a new user is made of; the hash comes from `hashNewPassword`, so that several HSMs can share the work. */
export type NewUser = User & { readonly passwordHash: string };

/** Hashes a password that meets CloudHSM's rules. Throws CKR_PIN_LEN_RANGE otherwise. */
export async function hashNewPassword(password: string): Promise<string> {
  const { passwordMinCharacters, passwordMaxCharacters } = limits;
  if (password.length < passwordMinCharacters || password.length > passwordMaxCharacters) {
    throw ckr(
      'CKR_PIN_LEN_RANGE',
      `a password has ${passwordMinCharacters} to ${passwordMaxCharacters} characters`,
    );
  }
  return hashPassword(password);
}

/** The users of one HSM. Every HSM has a table of its own: users are not synchronised by the cluster. */
export class UserTable {
  /** Attempts for one name wait for each other, so that guesses in parallel are counted like guesses in turn. */
  readonly #attempts = new Map<string, Promise<unknown>>();
  /** Passwords that were right before, as MACs under a key of this run, so that a program that logs in often does not
   * pay for scrypt each time. A wrong password is never found here and always pays. */
  readonly #known = new Map<string, Buffer>();
  readonly #knownKey = importSecretKey(randomBytes(32));

  constructor(
    private readonly store: RecordStore,
    private readonly log: Log,
  ) {}

  #read(name: string): UserRecord | undefined {
    const record = this.store.get('users', Buffer.from(name));
    return record && (JSON.parse(record.toString('utf8')) as UserRecord);
  }

  #change(record: UserRecord): Change {
    return { table: 'users', key: Buffer.from(record.name), value: Buffer.from(JSON.stringify(record)) };
  }

  async #write(record: UserRecord): Promise<void> {
    await this.store.write([this.#change(record)]);
  }

  /** The user of that name, whatever the role. */
  find(name: string): User | undefined {
    const record = name === '' ? undefined : this.#read(name);
    return record && { name: record.name, role: record.role };
  }

  count(): number {
    return [...this.store.keys('users')].length;
  }

  /** The write that adds a user. */
  addition(user: NewUser): Change {
    return this.#change({ ...user, wrongPasswords: 0 });
  }

  /**
   * Checks a password. Throws CKR_PIN_INCORRECT for a wrong one, an unknown user or one of another role, and
   * CKR_PIN_LOCKED once more than five wrong passwords were given (reference section 5). The count is on disk
   * before the answer is given.
   */
  authenticate(name: string, password: string, role: Role): Promise<User> {
    const before = this.#attempts.get(name) ?? Promise.resolve();
    const attempt = before.catch(() => undefined).then(() => this.#attempt(name, password, role));
    this.#attempts.set(name, attempt);
    const forget = (): void => {
      if (this.#attempts.get(name) === attempt) this.#attempts.delete(name);
    };
    attempt.then(forget, forget);
    return attempt;
  }

  async #attempt(name: string, password: string, role: Role): Promise<User> {
    const user = name === '' ? undefined : this.#read(name);
    if (user === undefined || user.role !== role) {
      // Takes as long as a wrong password does, so that the time does not tell who exists.
      await hashPassword(password);
      throw ckr('CKR_PIN_INCORRECT', 'no such user, or a wrong password');
    }
    if (user.wrongPasswords > limits.wrongPasswords) throw ckr('CKR_PIN_LOCKED', `${name} is locked out`);
    if (!(await this.#isPassword(password, user.passwordHash))) {
      const wrongPasswords = user.wrongPasswords + 1;
      await this.#write({ ...user, wrongPasswords });
      if (wrongPasswords > limits.wrongPasswords)
        this.log.warn({ user: name }, 'locked out after wrong passwords');
      throw ckr('CKR_PIN_INCORRECT', 'no such user, or a wrong password');
    }
    if (user.wrongPasswords > 0) await this.#write({ ...user, wrongPasswords: 0 });
    return { name: user.name, role: user.role };
  }

  async #isPassword(password: string, passwordHash: string): Promise<boolean> {
    const mac = hmac('sha256', this.#knownKey, Buffer.from(password));
    const known = this.#known.get(passwordHash);
    if (known !== undefined && constantTimeEqual(known, mac)) return true;
    if (!(await verifyPassword(password, passwordHash))) return false;
    this.#known.set(passwordHash, mac);
    return true;
  }
}
