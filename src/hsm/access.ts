import type { HsmObject, VisibleObject } from '../objects/hsm-object.js';
import { isTokenObject, kindOf } from '../objects/hsm-object.js';
import { ckr } from '../pkcs11/ckr.js';
import type { LoadedObject } from './loaded-object.js';
import { nameOf } from './user-identity.js';
import type { User } from './user-records.js';

/*
 * Who may do what with an object (reference section 7; "only owners wrap": reference management-tools, section 6.3):
 *
 *                     | find, read, use | change, delete, share, have it wrapped
 *   ------------------+-----------------+---------------------------------------
 *   its owner         |       yes       |         yes
 *   shared with them  |       yes       |         no
 *   certificates      |   every CU      |     their owner [guess]
 *   everybody else    | it is not there |
 *
 * Use is what wraps other keys, too.
 *
 * A CO has no keys and sees none; what a CO may set in a token key is a row of src/objects/key-settings.ts.
 */

export function maySee(user: User, object: VisibleObject): boolean {
  if (user.role !== 'CU') return false;
  return (
    object.owner === user.identity ||
    object.sharedWith.includes(user.identity) ||
    kindOf(object) === 'certificate'
  );
}

export function mayChange(user: User, { owner }: Pick<VisibleObject, 'owner'>): boolean {
  return user.role === 'CU' && owner === user.identity;
}

/** Throws CKR_ACTION_PROHIBITED for an object of somebody else, also of another user of the same name (user-identity.ts). */
export function requireOwn(user: User, { handle, owner }: HsmObject): void {
  if (owner === user.identity) return;
  const name = nameOf(owner);
  const other =
    name === user.name
      ? `another user of the name ${name} than the one here: one of them was deleted and made again`
      : name;
  throw ckr('CKR_ACTION_PROHIBITED', `object ${handle} belongs to ${other}`);
}

/** Passwords: one's own, and as a CO those of COs and CUs (reference management-tools, section 4.2). Throws
 * CKR_ACTION_PROHIBITED. */
export function requireManageable(by: User, whom: Pick<User, 'id' | 'role'> | undefined): void {
  if (whom?.id === by.id) return;
  if (by.role === 'CO' && (whom === undefined || whom.role === 'CO' || whom.role === 'CU')) return;
  throw ckr('CKR_ACTION_PROHIBITED', 'only a CO changes passwords of others, and only those of COs and CUs');
}

/** The service's own account and the admin of a cluster that is not activated stay. Throws CKR_ACTION_PROHIBITED. */
export function requireDeletable({ name, role }: User): void {
  if (role !== 'CO' && role !== 'CU')
    throw ckr('CKR_ACTION_PROHIBITED', `${name} (${role}) cannot be deleted`);
}

/** "Not for public keys" (reference management-tools, section 4.2); a session key belongs to one connection. Throws
 * CKR_ACTION_PROHIBITED. */
export function requireShareable({ object, kind }: LoadedObject): void {
  if (kind === 'certificate' || kind.endsWith('Public')) {
    throw ckr('CKR_ACTION_PROHIBITED', 'only secret and private keys can be shared');
  }
  if (!isTokenObject(object)) throw ckr('CKR_ACTION_PROHIBITED', 'a session key cannot be shared');
}

/** A key is shared with another crypto user. Throws CKR_ACTION_PROHIBITED. */
export function requireShareWith(owner: User, receiver: User | undefined, name: string): User {
  if (receiver?.role !== 'CU') throw ckr('CKR_ACTION_PROHIBITED', `there is no crypto user ${name}`);
  if (receiver.name === owner.name) throw ckr('CKR_ACTION_PROHIBITED', 'the key is your own already');
  return receiver;
}
