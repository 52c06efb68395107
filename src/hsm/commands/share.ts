import { ckr } from '../../pkcs11/ckr.js';
import { requireShareable, requireShareWith } from '../access.js';
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
  run: (session, { handle, user }) => {
    requireShareable(session.changeableObject(handle));
    requireShareWith(session.user, session.hsm.users.find(user), user);
    return session.hsm.objects.change(handle, ({ sharedWith }) => ({
      sharedWith: [...new Set([...sharedWith, user])],
    }));
  },
};

/** Takes that back; also from a user who no longer exists. */
export const unshareKey: Command<ShareRequest, void> = {
  login: 'CU',
  run: (session, { handle, user }) => {
    requireShareable(session.changeableObject(handle));
    return session.hsm.objects.change(handle, ({ sharedWith }) => {
      if (!sharedWith.includes(user) && session.hsm.users.find(user) === undefined)
        throw ckr('CKR_ACTION_PROHIBITED', `there is no user ${user}`);
      return { sharedWith: sharedWith.filter((name) => name !== user) };
    });
  },
};
