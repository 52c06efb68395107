import { ckr } from '../../pkcs11/ckr.js';
import type { Role } from '../roles.js';
import type { Command } from './command.js';

/* How a user comes to another HSM of the cluster or of a clone, which the service never does by itself ("users are not
 * synchronised", reference management-tools, sections 1.3 and 7.2). */

/** A user, masked. CKR_USER_TYPE_INVALID; CKR_ACTION_PROHIBITED for users that every HSM has of its own. */
export const extractMaskedUser: Command<{ readonly name: string; readonly role: Role }, Buffer> = {
  login: 'CO',
  run: ({ hsm }, { name, role }) => {
    if (role !== 'CO' && role !== 'CU')
      throw ckr('CKR_ACTION_PROHIBITED', `users of type ${role} are not copied: each HSM has its own`);
    return hsm.maskingKey.maskUser(hsm.users.record(name, role));
  },
};

/** Adds it under the id it has there. Durable when answered. CKR_FUNCTION_FAILED: the HSMs have different masking keys;
 * CKR_ACTION_PROHIBITED: the name or the id is another user's; CKR_DEVICE_MEMORY. */
export const insertMaskedUser: Command<{ readonly masked: Buffer }, void> = {
  login: 'CO',
  run: async ({ hsm }, { masked }, _cause, write) => {
    await hsm.users.insert(hsm.maskingKey.unmaskUser(masked), write);
  },
};
