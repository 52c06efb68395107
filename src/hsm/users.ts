import { isDeepStrictEqual } from 'node:util';
import type { HsmType } from '../base/cluster-kind.js';
import type { Log } from '../base/log.js';
import { Turns } from '../base/turns.js';
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
import type { AuditDetails } from './audit/entry.js';
import { LoginRefused } from './login-refused.js';
import type { Role } from './roles.js';
import { identityOf, nameOf } from './user-identity.js';
import {
  ADMIN_ID,
  infoOf,
  isLocked,
  nextGenerationChange,
  nextIdChange,
  nextUserId,
  readNextGeneration,
  readUser,
  readUsers,
  type User,
  type UserInfo,
  type UserRecord,
  userChange,
  userOf,
  userRemoval,
} from './user-records.js';
import { canonicalName, requireName, userRules } from './user-rules.js';

/** Makes changes durable, along with the record of them in the audit log: the command's own, or `about`. */
export type Write = (changes: readonly Change[], about?: readonly AuditDetails[]) => Promise<void>;

const keyOf = ({ publicKey }: UserRecord): Buffer | undefined =>
  publicKey === undefined ? undefined : Buffer.from(publicKey, 'base64');

/** What a connection has to do with a login. */
export interface LoginSteps {
  /** Whether it brought a signature of its challenge by this key. */
  signs(publicKey: Buffer): boolean;
  /** The login itself, while nobody changes the user. */
  login(user: User): void;
}

/** `PRECO` goes on naming the first admin once it is a CO: "loginHSM PRECO admin" must still succeed [guess] (reference
 * management-tools, section 2). */
function hasRole({ id, role }: UserRecord, asked: Role): boolean {
  return role === asked || (asked === 'PRECO' && role === 'CO' && id === ADMIN_ID);
}

/** The users of one HSM. Every HSM has a table of its own: users are not synchronised by the cluster. A name belongs to one
 * user, whatever the role [guess]. */
export class UserTable {
  /** Work on one user waits for the work on it that came before: guesses in parallel are counted like guesses in turn, and
   * no change undoes another. */
  readonly #turns = new Turns<string>();
  /** Ids on their way to the disk. */
  readonly #arriving = new Set<number>();
  /** On their way out: nobody shares with them any more. */
  readonly #leaving = new Set<string>();
  /** Passwords that were right before, as MACs under a key of this run, so that a program that logs in often does not
   * pay for scrypt each time. A wrong password is never found here and always pays. */
  readonly #known = new Map<string, Buffer>();
  readonly #knownKey = importSecretKey(randomBytes(32));
  /** Who was found before, until the user changes: each key that is inserted asks for its owner. */
  readonly #found = new Map<string, User>();
  #count: number;

  private constructor(
    private readonly store: RecordStore,
    private readonly hsmType: HsmType,
    private readonly log: Log,
    private nextId: number,
  ) {
    this.#count = [...store.keys('users')].length;
  }

  static async open(store: RecordStore, hsmType: HsmType, log: Log): Promise<UserTable> {
    const nextId = await nextUserId(store);
    return new UserTable(store, hsmType, log, nextId);
  }

  #read(name: string): UserRecord | undefined {
    const canonical = canonicalName(name);
    return canonical === undefined ? undefined : readUser(this.store, canonical);
  }

  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(canonicalName(name) ?? '', work);
  }

  /** The user of that name, whatever the role. */
  find(name: string): User | undefined {
    const canonical = canonicalName(name);
    if (canonical === undefined || this.#leaving.has(canonical)) return undefined;
    return this.#found.get(canonical) ?? this.#look(canonical);
  }

  #look(canonical: string): User | undefined {
    const record = readUser(this.store, canonical);
    const user = record && userOf(record);
    if (user !== undefined) this.#found.set(canonical, user);
    return user;
  }

  /** Writes changes that are, among others, of this user. */
  async #write({ name }: UserRecord, changes: readonly Change[], write: Write): Promise<void> {
    await write(changes);
    this.#found.delete(name);
  }

  /** The crypto user that keys call so; not another one of the same name. */
  owner(identity: string): User | undefined {
    const user = this.find(nameOf(identity));
    return user?.role === 'CU' && user.identity === identity ? user : undefined;
  }

  /** By what keys call them. */
  idsByIdentity(): ReadonlyMap<string, number> {
    return new Map(
      readUsers(this.store).map(({ id, name, generation }) => [identityOf(name, generation), id]),
    );
  }

  /** The generation that a new crypto user of the name would have here. */
  nextGeneration(name: string): number {
    const canonical = canonicalName(name);
    return canonical === undefined ? 0 : readNextGeneration(this.store, canonical);
  }

  /** In the order of their ids. */
  list(): UserInfo[] {
    return readUsers(this.store).map(infoOf);
  }

  /** The key that a user has registered. */
  publicKey(name: string): Buffer | undefined {
    const record = this.#read(name);
    return record && keyOf(record);
  }

  info(name: string): UserInfo | undefined {
    const record = this.#read(name);
    return record && infoOf(record);
  }

  count(): number {
    return this.#count;
  }

  /** How many users can be there. */
  get max(): number {
    return userRules[this.hsmType].users;
  }

  /** The user to be changed. Throws CKR_USER_TYPE_INVALID. */
  #require(name: string, role: Role): UserRecord {
    const record = this.#read(name);
    if (record === undefined || !hasRole(record, role))
      throw ckr('CKR_USER_TYPE_INVALID', `there is no ${role} ${canonicalName(name) ?? 'of such a name'}`);
    return record;
  }

  /** Adds a user, whose generation is at least what is asked for. Durable when it resolves. Throws CKR_ARGUMENTS_BAD for a name that
   * is none, CKR_ACTION_PROHIBITED for one that is taken, CKR_DEVICE_MEMORY for one user too many. */
  create(
    user: Pick<UserRecord, 'name' | 'role' | 'passwordHash' | 'publicKey' | 'secondFactor' | 'generation'>,
    write: Write,
  ): Promise<User> {
    const name = requireName(user.name);
    return this.#inTurn(name, async () => {
      if (this.#read(name) !== undefined)
        throw ckr('CKR_ACTION_PROHIBITED', `there is a user ${name} already`);
      const generation = Math.max(readNextGeneration(this.store, name), user.generation ?? 0) || undefined;
      const record: UserRecord = { ...user, name, generation, id: this.nextId, wrongPasswords: 0 };
      await this.#add(record, write);
      return userOf(record);
    });
  }

  async #add(record: UserRecord, write: Write): Promise<void> {
    if (this.#count >= this.max)
      throw ckr('CKR_DEVICE_MEMORY', `the HSM has ${this.max} users already: delete some`);
    this.#count++;
    this.#arriving.add(record.id);
    this.nextId = Math.max(this.nextId, record.id + 1);
    try {
      await write([userChange(record), nextIdChange(this.nextId)]);
    } catch (error) {
      this.#count--;
      throw error;
    } finally {
      this.#arriving.delete(record.id);
    }
  }

  /** The user with what it logs in by. Throws CKR_USER_TYPE_INVALID. */
  record(name: string, role: Role): UserRecord {
    return this.#require(name, role);
  }

  /** Adds a user that another HSM has, with its id and what it logs in by; the same user again is no error: whether it was added.
   * Durable when it resolves. Throws CKR_ACTION_PROHIBITED when the name or the id is another user's, CKR_DEVICE_MEMORY. */
  insert(user: UserRecord, write: Write): Promise<boolean> {
    return this.#inTurn(user.name, async () => {
      const present = this.#read(user.name);
      if (present !== undefined) {
        if (isDeepStrictEqual({ ...present, wrongPasswords: 0 }, { ...user, wrongPasswords: 0 }))
          return false;
        throw ckr('CKR_ACTION_PROHIBITED', `there is another user ${user.name} already`);
      }
      if (this.#arriving.has(user.id) || this.list().some(({ id }) => id === user.id))
        throw ckr('CKR_ACTION_PROHIBITED', `id ${user.id} is another user's here`);
      await this.#add(user, write);
      return true;
    });
  }

  /** Replaces what `change` makes of the user. Durable when it resolves. Throws CKR_USER_TYPE_INVALID. */
  change(name: string, role: Role, change: (record: UserRecord) => UserRecord, write: Write): Promise<User> {
    return this.#inTurn(name, async () => {
      const before = this.#require(name, role);
      const record = change(before);
      await this.#write(record, [userChange(record)], write);
      if (before.passwordHash !== undefined && record.passwordHash !== before.passwordHash)
        this.#known.delete(before.passwordHash);
      return userOf(record);
    });
  }

  /** Removes a user that `check` lets go. Meanwhile it neither logs in nor is given keys. Durable when it resolves. */
  remove(name: string, role: Role, check: (user: User) => Promise<void>, write: Write): Promise<void> {
    return this.#inTurn(name, async () => {
      const record = this.#require(name, role);
      this.#leaving.add(record.name);
      try {
        await check(userOf(record));
        await this.#write(record, [userRemoval(record.name), ...this.#formerChange(record)], write);
        this.#count--;
      } finally {
        this.#leaving.delete(record.name);
      }
    });
  }

  /** Only crypto users have keys. */
  #formerChange({ name, role, generation = 0 }: UserRecord): Change[] {
    if (role !== 'CU') return [];
    return [nextGenerationChange(name, Math.max(readNextGeneration(this.store, name), generation + 1))];
  }

  /**
   * Checks a password, and does the rest of the login while nobody changes the user. Throws CKR_PIN_INCORRECT for a wrong one,
   * an unknown user or one of another role, and CKR_PIN_LOCKED once more than five wrong passwords were given (reference
   * section 5). The count is on disk before the answer is given.
   */
  authenticate(name: string, password: string, role: Role, { signs, login }: LoginSteps): Promise<User> {
    return this.#inTurn(name, async () => {
      const user = userOf(await this.#attempt(name, password, role, signs));
      login(user);
      return user;
    });
  }

  async #attempt(
    name: string,
    password: string,
    role: Role,
    signs: LoginSteps['signs'],
  ): Promise<UserRecord> {
    const user = this.#read(name);
    if (user === undefined || !hasRole(user, role)) {
      // Takes as long as a wrong password does, so that the time does not tell who exists.
      await hashPassword(password);
      throw new LoginRefused(user === undefined ? 'unknown' : 'otherRole');
    }
    if (isLocked(user)) throw new LoginRefused('locked', user.name);
    // A wrong signature counts like a wrong password, and says as little.
    const isPassword = await this.#isPassword(password, user.passwordHash);
    if (!isPassword || (user.secondFactor && !signs(keyOf(user)!))) {
      const counted = { ...user, wrongPasswords: user.wrongPasswords + 1 };
      await this.store.write([userChange(counted)]);
      if (isLocked(counted)) this.log.warn({ user: user.name }, 'locked out after wrong passwords');
      throw new LoginRefused('wrongPassword');
    }
    if (user.wrongPasswords === 0) return user;
    const cleared = { ...user, wrongPasswords: 0 };
    await this.store.write([userChange(cleared)]);
    return cleared;
  }

  async #isPassword(password: string, passwordHash: string | undefined): Promise<boolean> {
    if (passwordHash === undefined) {
      await hashPassword(password);
      return false;
    }
    const mac = hmac('sha256', this.#knownKey, Buffer.from(password));
    const known = this.#known.get(passwordHash);
    if (known !== undefined && constantTimeEqual(known, mac)) return true;
    if (!(await verifyPassword(password, passwordHash))) return false;
    this.#known.set(passwordHash, mac);
    return true;
  }
}
