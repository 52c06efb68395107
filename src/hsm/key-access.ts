import { type HsmObject, isTokenObject } from '../objects/hsm-object.js';
import { type KeyQuorum, requireKeyQuorum } from '../objects/key-quorum.js';
import type { Attributes } from '../objects/template-validator.js';
import { ckr } from '../pkcs11/ckr.js';
import { requireShareWith } from './access.js';
import type { HsmSession } from './hsm-session.js';

/** With whom a new secret or private key is shared from the beginning, and how many of them must approve what is done with it. */
export interface KeyAccess {
  /** Names of crypto users. */
  readonly sharedWith: readonly string[];
  readonly quorum?: KeyQuorum | undefined;
}

/** What of it the new key has. Throws CKR_ACTION_PROHIBITED for a user that is none and for sharing a session key, CKR_ARGUMENTS_BAD
 * for more approvals than it has users. */
export function grantedAccess(
  { hsm, user }: HsmSession,
  attributes: Attributes,
  access: KeyAccess | undefined,
): Pick<HsmObject, 'sharedWith' | 'quorum'> {
  if (access === undefined) return { sharedWith: [] };
  const users = access.sharedWith.map((name) => requireShareWith(user, hsm.users.find(name), name));
  const sharedWith = [...new Set(users.map(({ identity }) => identity))];
  if (sharedWith.length > 0 && !isTokenObject({ attributes }))
    throw ckr('CKR_ACTION_PROHIBITED', 'a session key cannot be shared');
  const quorum = requireKeyQuorum(access.quorum, 1 + sharedWith.length);
  return { sharedWith, ...(quorum && { quorum }) };
}
