import { ckr } from '../../pkcs11/ckr.js';
import { requireDeletable, requireManageable } from '../access.js';
import type { Role } from '../roles.js';
import { releaseKeysOf } from '../user-keys.js';
import type { UserInfo } from '../user-records.js';
import { hashNewPassword, requireName, userRules } from '../user-rules.js';
import type { Command } from './command.js';
import { registered, type SecondFactor } from './second-factor.js';

/** Who a command on a user is about. */
interface Whom {
  readonly name: string;
  readonly role: Role;
}

interface Credentials {
  readonly password: string;
  readonly secondFactor?: SecondFactor | undefined;
}

/** More than anybody deletes of one name: what other HSMs have counted is bounded. */
const MAX_GENERATION = 0x7fff_ffff;

/** Which generation a new user of the name would be of here (user-identity.ts): the highest of all HSMs' goes with `createUser`. */
export const nextGeneration: Command<{ readonly name: string }, { readonly generation: number }> = {
  login: 'CO',
  run: ({ hsm }, { name }) => ({ generation: hsm.users.nextGeneration(name) }),
};

/** Adds a CO or a CU to this HSM. Durable when answered. CKR_ARGUMENTS_BAD (name), CKR_PIN_LEN_RANGE, CKR_ACTION_PROHIBITED (the
 * name is taken), CKR_USER_TYPE_INVALID, CKR_DEVICE_MEMORY. */
export const createUser: Command<
  Whom & Credentials & { readonly generation?: number | undefined },
  { readonly id: number }
> = {
  login: 'CO',
  run: async (session, { name, role, password, secondFactor, generation = 0 }, _cause, write) => {
    const { hsm } = session;
    if (generation > MAX_GENERATION) throw ckr('CKR_ARGUMENTS_BAD', 'no user was made again so often');
    if (role !== 'CO' && role !== 'CU') throw ckr('CKR_USER_TYPE_INVALID', `no ${role} can be created`);
    requireName(name);
    const { passwordMinCharacters } = userRules[hsm.settings.hsmType];
    const passwordHash = await hashNewPassword(password, passwordMinCharacters);
    const key = registered(session, secondFactor);
    const { id } = await hsm.users.create({ name, role, passwordHash, generation, ...key }, write);
    return { id };
  },
};

/** Removes a user from this HSM, and from the share lists of its keys. Durable when answered. CKR_USER_TYPE_INVALID: there is no
 * such user. CKR_ACTION_PROHIBITED: somebody is logged in as that user, or it owns keys. */
export const deleteUser: Command<Whom, void> = {
  login: 'CO',
  run: ({ hsm }, { name, role }, _cause, write) =>
    hsm.users.remove(
      name,
      role,
      async (user) => {
        requireDeletable(user);
        hsm.logins.requireNone(user);
        if (user.role === 'CU') await releaseKeysOf(user, hsm.objects);
      },
      write,
    ),
};

/**
 * Sets a password: one's own, or, as a CO, a CO's or CU's, which also unlocks. The first admin becomes a CO by it, which
 * activates the cluster. A second factor and the key to approve with go unless they are given anew. "No old password is asked for." Durable when answered. CKR_USER_TYPE_INVALID, CKR_PIN_LEN_RANGE,
 * CKR_ACTION_PROHIBITED: not one's own, or logged in through another client.
 */
export const changePassword: Command<Whom & Credentials, void> = {
  login: 'any',
  run: async (session, { name, role, password, secondFactor }, _cause, write) => {
    const { hsm, user } = session;
    const { passwordMinCharacters } = userRules[hsm.settings.hsmType];
    const before = hsm.users.find(name);
    // Who may not change it is not told whether it exists.
    requireManageable(user, before);
    const passwordHash = await hashNewPassword(password, passwordMinCharacters);
    const key = registered(session, secondFactor);
    const changed = await hsm.users.change(
      name,
      role,
      (record) => {
        requireManageable(session.user, record);
        hsm.logins.requireNone(record, session);
        return {
          ...record,
          ...key,
          passwordHash,
          wrongPasswords: 0,
          role: record.role === 'PRECO' ? 'CO' : record.role,
        };
      },
      write,
    );
    session.identityChanged(changed);
    if (before?.role === 'PRECO' && changed.role === 'CO') hsm.onActivated?.();
  },
};

/** All users, in the order of their ids: "all, no login". */
export const listUsers: Command<void, readonly UserInfo[]> = {
  login: 'none',
  run: ({ hsm }) => hsm.users.list(),
};

/** One user. CKR_USER_TYPE_INVALID: there is none of that name. */
export const getUserInfo: Command<{ readonly name: string }, UserInfo> = {
  login: 'none',
  run: ({ hsm }, { name }) => {
    const info = hsm.users.info(name);
    if (info === undefined) throw ckr('CKR_USER_TYPE_INVALID', 'there is no user of that name');
    return info;
  },
};
