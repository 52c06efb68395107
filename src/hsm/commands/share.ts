import type { HsmObject } from '../../objects/hsm-object.js';
import { hasEnoughUsers } from '../../objects/key-quorum.js';
import { ckr } from '../../pkcs11/ckr.js';
import { requireShareable, requireShareWith } from '../access.js';
import type { ObjectChange } from '../token-objects.js';
import { nameOf } from '../user-identity.js';
import { canonicalName } from '../user-rules.js';
import type { Command } from './command.js';

interface ShareRequest {
  readonly handle: number;
  /** Name of the crypto user who may use the key, or no longer. */
  readonly user: string;
}

/** Lets another crypto user find and use a token key. Doing it twice is no error: it is how a sharing that an HSM of the
 * cluster missed is completed. Durable when answered. CKR_OBJECT_HANDLE_INVALID, CKR_ACTION_PROHIBITED. */
export const shareKey: Command<ShareRequest, void> = {
  login: 'CU',
  run: (session, { handle, user }, _cause, write) => {
    requireShareable(session.changeableObject(handle));
    const owner = session.user;
    const receiver = requireShareWith(owner, session.hsm.users.find(user), user);
    const change = ({ sharedWith }: HsmObject): ObjectChange => {
      // Again, now that it is written: the user may be on the way out.
      requireShareWith(owner, session.hsm.users.find(user), user);
      return { sharedWith: [...new Set([...sharedWith, receiver.identity])] };
    };
    return session.hsm.objects.change(handle, change, false, write);
  },
};

/** Takes that back; also from a user who no longer exists. CKR_ACTION_PROHIBITED also where a quorum needs all who have the key. */
export const unshareKey: Command<ShareRequest, void> = {
  login: 'CU',
  run: (session, { handle, user }, _cause, write) => {
    requireShareable(session.changeableObject(handle));
    const change = ({ sharedWith, quorum }: HsmObject): ObjectChange => {
      const name = canonicalName(user) ?? '';
      if (!sharedWith.some((other) => nameOf(other) === name) && session.hsm.users.find(name) === undefined)
        throw ckr('CKR_ACTION_PROHIBITED', `there is no user ${user}`);
      const left = sharedWith.filter((other) => nameOf(other) !== name);
      // As when it is made: otherwise nobody could ever use it [guess].
      if (quorum !== undefined && left.length < sharedWith.length && !hasEnoughUsers(quorum, 1 + left.length))
        throw ckr('CKR_ACTION_PROHIBITED', `key ${handle} needs ${name} for its quorum: share it first`);
      return { sharedWith: left };
    };
    return session.hsm.objects.change(handle, change, false, write);
  },
};
