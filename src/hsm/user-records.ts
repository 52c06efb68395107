import { limits } from '../base/limits.js';
import type { Change, RecordStore } from '../store/record-store.js';
import { Reader, Writer } from '../wire/bytes.js';
import type { Role } from './roles.js';
import { settingKey } from './setting-rows.js';
import { identityOf } from './user-identity.js';

/** Who somebody is. Ids are given in the order of creation and never again; backups carry them. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly role: Role;
  /** What keys call the user (user-identity.ts). */
  readonly identity: string;
}

/** A user as the HSM keeps it (docs/STORAGE.md). */
export interface UserRecord extends Omit<User, 'identity'> {
  /** None: the first of that name. */
  readonly generation?: number | undefined;
  /** None: nobody logs in with a password. */
  readonly passwordHash?: string;
  readonly wrongPasswords: number;
  /** The key that the user registered: the DER of an RSA SubjectPublicKeyInfo, in base64. */
  readonly publicKey?: string | undefined;
  /** Logins need a signature by it. */
  readonly secondFactor?: true | undefined;
}

/** What a new user is made of; the hash comes from `hashNewPassword`, so that several HSMs can share the work. */
export type NewUser = Pick<User, 'name' | 'role'> & { readonly passwordHash: string };

/** What `listUsers` tells of a user (reference management-tools, section 4.3). */
export interface UserInfo extends Omit<User, 'identity'> {
  readonly wrongPasswords: number;
  readonly locked: boolean;
  /** "MofnPubKey": a key to approve with is registered. */
  readonly quorumKey: boolean;
  /** "2FA". */
  readonly secondFactor: boolean;
}

export function userOf({ id, name, role, generation }: UserRecord): User {
  return { id, name, role, identity: identityOf(name, generation) };
}

export const isLocked = ({ wrongPasswords }: UserRecord): boolean => wrongPasswords > limits.wrongPasswords;

export function infoOf(record: UserRecord): UserInfo {
  const { id, name, role, wrongPasswords, publicKey, secondFactor = false } = record;
  const quorumKey = publicKey !== undefined;
  return { id, name, role, wrongPasswords, locked: isLocked(record), quorumKey, secondFactor };
}

/** "1 = admin, 2 = app_user" (section 1.3). */
export const ADMIN_ID = 1;
/** The service's own account: the other HSMs of the cluster, which have no password but a certificate. */
const applianceRecord: UserRecord = { id: 2, name: 'app_user', role: 'AU', wrongPasswords: 0 };
export const applianceUser = userOf(applianceRecord);

const FIRST_OTHER_ID = 3;

const NEXT_ID = settingKey('users-next-id');

export function userChange(record: UserRecord): Change {
  return { table: 'users', key: Buffer.from(record.name), value: Buffer.from(JSON.stringify(record)) };
}

export function userRemoval(name: string): Change {
  return { table: 'users', key: Buffer.from(name), value: undefined };
}

/** The generation of the next crypto user of a name: one more than the highest that was deleted here. */
export function readNextGeneration(store: RecordStore, name: string): number {
  const record = store.get('formerUsers', Buffer.from(name));
  return record === undefined ? 0 : new Reader(record).u32();
}

export function nextGenerationChange(name: string, generation: number): Change {
  const writer = new Writer(4);
  writer.u32(generation);
  return { table: 'formerUsers', key: Buffer.from(name), value: writer.finish() };
}

export function nextIdChange(nextId: number): Change {
  const writer = new Writer(4);
  writer.u32(nextId);
  return { table: 'settings', key: NEXT_ID, value: writer.finish() };
}

export function readUser(store: RecordStore, name: string): UserRecord | undefined {
  const record = store.get('users', Buffer.from(name));
  return record && (JSON.parse(record.toString('utf8')) as UserRecord);
}

export function readUsers(store: RecordStore): UserRecord[] {
  return [...store.keys('users')]
    .map((key) => readUser(store, key.toString())!)
    .sort((one, other) => one.id - other.id);
}

/** The users an HSM begins with: the first is its `admin`, then comes the service's account, then the others. */
export function firstUsers([admin, ...others]: readonly NewUser[]): Change[] {
  const fresh = { wrongPasswords: 0 };
  return [
    ...(admin === undefined ? [] : [userChange({ ...admin, ...fresh, id: ADMIN_ID })]),
    userChange(applianceRecord),
    ...others.map((user, at) => userChange({ ...user, ...fresh, id: FIRST_OTHER_ID + at })),
    nextIdChange(FIRST_OTHER_ID + others.length),
  ];
}

/** The next free id. HSMs of earlier versions had users without ids: they get them here, in one write. */
export async function nextUserId(store: RecordStore): Promise<number> {
  const setting = store.get('settings', NEXT_ID);
  if (setting !== undefined) return new Reader(setting).u32();
  const users = readUsers(store).sort(
    (one, other) => Number(other.role === 'CO') - Number(one.role === 'CO'),
  );
  const [admin, ...others] = users;
  const nextId = FIRST_OTHER_ID + others.length;
  await store.write([
    ...(admin === undefined ? [] : [userChange({ ...admin, id: ADMIN_ID })]),
    userChange(applianceRecord),
    ...others.map((user, at) => userChange({ ...user, id: FIRST_OTHER_ID + at })),
    nextIdChange(nextId),
  ]);
  return nextId;
}
