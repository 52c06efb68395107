import type { Eventually } from '../../base/eventually.js';
import {
  boolAttribute,
  type HsmObject,
  isTokenObject,
  kindOf,
  type VisibleObject,
} from '../../objects/hsm-object.js';
import { type ReadResult, readAttribute } from '../../objects/reading.js';
import { CKA } from '../../pkcs11/attributes.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Template } from '../../pkcs11/template.js';
import { requireOwn } from '../access.js';
import { type AuditDetails, aboutKey } from '../audit/entry.js';
import type { HsmSession } from '../hsm-session.js';
import { nameOf } from '../user-identity.js';
import type { Command } from './command.js';

/** A crypto user inserts its own objects; who synchronises HSMs, those of all users that are there ("a key whose owner is missing
 * on an HSM cannot be synced there", reference management-tools, section 7.1). Throws CKR_ACTION_PROHIBITED. */
function requireInsertable({ user, hsm }: HsmSession, object: HsmObject): void {
  const { handle, owner } = object;
  if (user.role === 'CU') requireOwn(user, object);
  if (hsm.users.owner(owner) !== undefined) return;
  const name = nameOf(owner);
  const why =
    hsm.users.find(name)?.role === 'CU'
      ? 'is another user here, of the same name: one of them was deleted and made again'
      : 'is no crypto user here';
  throw ckr('CKR_ACTION_PROHIBITED', `the owner of object ${handle}, ${name}, ${why}`);
}

/** The HSM that made a key has logged that it was made, which is all there is to tell of it. */
function insertionRecord({ hsm }: HsmSession, object: HsmObject): readonly AuditDetails[] {
  if (hsm.handles.gave(object.handle) || kindOf(object) === 'certificate') return [];
  return [aboutKey('CN_INSERT_MASKED_OBJECT_USER', object.handle)];
}

/** Stores a masked object under the handle it has on the other HSMs. Durable when answered. */
export const insertMaskedObject: Command<{ masked: Buffer }, void> = {
  login: 'maskedObjects',
  run: (session, { masked }, _cause, write) => {
    const object = session.hsm.maskingKey.unmask(masked);
    requireInsertable(session, object);
    const inserted = session.hsm.objects.insert(object, session.gate.refuses, (changes) =>
      write(changes, insertionRecord(session, object)),
    );
    return inserted.then((isNew) => {
      if (isNew) session.rememberInsert(object.handle);
    });
  },
};

/** Takes back an object that this connection has just inserted, because another HSM did not take it. It has never been
 * anybody's, so what its attributes say of destroying it does not count. */
export const withdrawObject: Command<{ handle: number }, void> = {
  login: 'CU',
  run: async (session, { handle }, _cause, write) => {
    session.endPromotion(handle);
    if (!session.forgetInsert(handle)) {
      throw ckr('CKR_ACTION_PROHIBITED', `object ${handle} was not inserted just now`);
    }
    await session.hsm.objects.withdraw(handle, undefined, write);
  },
};

function requireDestroyable(object: VisibleObject): void {
  if (!boolAttribute(object, CKA.CKA_DESTROYABLE)) {
    throw ckr('CKR_ACTION_PROHIBITED', `object ${object.handle} has CKA_DESTROYABLE FALSE`);
  }
}

/** Deletes an object. Durable when answered. */
export const destroyObject: Command<{ handle: number }, void> = {
  login: 'CU',
  run: (session, { handle }, _cause, write): Eventually<void> => {
    const { visible } = session.changeableObject(handle);
    if (isTokenObject(visible)) return session.hsm.objects.remove(handle, requireDestroyable, write);
    requireDestroyable(visible);
    session.removeSessionObject(handle);
    return undefined;
  },
};

/** Ends a session object along with the session that made it, whatever its attributes say. */
export const endSessionObject: Command<{ handle: number }, void> = {
  login: 'CU',
  run: (session, { handle }) => void session.removeSessionObject(handle),
};

/** Reads attributes, in the order asked for. */
export const getAttributes: Command<{ handle: number; types: readonly number[] }, readonly ReadResult[]> = {
  login: 'CU',
  run: (session, { handle, types }, cause) => {
    const loaded = session.object(handle);
    return types.map((type) => readAttribute(loaded, type, session.gate, cause));
  },
};

/** Handles of all objects that the user may see and that match, ascending. */
export const findObjects: Command<{ template: Template }, readonly number[]> = {
  login: 'CU',
  run: (session, { template }, cause) => session.find(template, cause),
};

/** Whether there is such an object for the user, and where it lives. CKR_OBJECT_HANDLE_INVALID. */
export const locateObject: Command<{ handle: number }, { readonly token: boolean }> = {
  login: 'CU',
  run: (session, { handle }) => {
    return { token: isTokenObject(session.object(handle).visible) };
  },
};
