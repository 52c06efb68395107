import { randomBytes } from '../../crypto/index.js';
import { ckr } from '../../pkcs11/ckr.js';
import { requireManageable } from '../access.js';
import type { HsmSession } from '../hsm-session.js';
import type { Role } from '../roles.js';
import {
  CHALLENGE_BYTES,
  REGISTRATION_TOKEN_BYTES,
  requirePublicKey,
  signsData,
  signsDigest,
} from '../second-factor.js';
import type { UserRecord } from '../user-records.js';
import type { Command } from './command.js';

/** A key for the second factor, with a signature of this connection's challenge. */
export interface SecondFactor {
  readonly publicKey: Buffer;
  readonly signature: Buffer;
}

/** What registers a key in a user's record: without one, what was registered goes, and with it the right to approve (reference
 * management-tools, section 1.4). Throws CKR_ARGUMENTS_BAD for another key, CKR_SIGNATURE_INVALID. */
export function registered(
  session: HsmSession,
  secondFactor: SecondFactor | undefined,
): Pick<UserRecord, 'publicKey' | 'secondFactor'> {
  if (secondFactor === undefined) return { publicKey: undefined, secondFactor: undefined };
  const publicKey = requirePublicKey(secondFactor.publicKey);
  const challenge = session.takeChallenge();
  if (challenge === undefined || !signsDigest(publicKey, challenge, secondFactor.signature))
    throw ckr('CKR_SIGNATURE_INVALID', "it is no signature of this connection's challenge by that key");
  return { publicKey: publicKey.toString('base64'), secondFactor: true };
}

/** A value to sign with the second factor: 32 bytes, for one signature on this connection. */
export const getChallenge: Command<void, Buffer> = {
  login: 'none',
  run: (session) => session.giveChallenge(randomBytes(CHALLENGE_BYTES)),
};

/** Gives a user a second factor, another one, or none: one's own, or as a CO a CO's or CU's. Durable when answered.
 * CKR_USER_TYPE_INVALID, CKR_ACTION_PROHIBITED, CKR_ARGUMENTS_BAD, CKR_SIGNATURE_INVALID. */
export const changeSecondFactor: Command<
  { readonly name: string; readonly role: Role; readonly secondFactor?: SecondFactor | undefined },
  void
> = {
  login: 'any',
  run: async (session, { name, role, secondFactor }, _cause, write) => {
    const { hsm } = session;
    requireManageable(session.user, hsm.users.find(name));
    const change = registered(session, secondFactor);
    await hsm.users.change(
      name,
      role,
      (record) => {
        requireManageable(session.user, record);
        hsm.logins.requireNone(record, session);
        return { ...record, ...change };
      },
      write,
    );
  },
};

/** Registers one's own key, to approve with. Durable when answered. The signature is of `token`, any bytes. "Cannot rotate the
 * key of a 2FA user" (section 4.4): CKR_ACTION_PROHIBITED; CKR_ARGUMENTS_BAD, CKR_SIGNATURE_INVALID. */
export const registerPublicKey: Command<SecondFactor & { readonly token: Buffer }, void> = {
  login: 'quorum',
  run: async (session, { token, signature, publicKey }, _cause, write) => {
    requirePublicKey(publicKey);
    if (token.length === 0 || token.length > REGISTRATION_TOKEN_BYTES)
      throw ckr('CKR_ARGUMENTS_BAD', `a token has 1 to ${REGISTRATION_TOKEN_BYTES} bytes`);
    if (!signsData(publicKey, token, signature))
      throw ckr('CKR_SIGNATURE_INVALID', 'it is no signature of the token by that key');
    const { name, role } = session.user;
    const change = (record: UserRecord): UserRecord => {
      if (record.secondFactor)
        throw ckr('CKR_ACTION_PROHIBITED', `${name} has a second factor, which is its key to approve with`);
      return { ...record, publicKey: publicKey.toString('base64') };
    };
    await session.hsm.users.change(name, role, change, write);
  },
};
