import { ckr } from '../pkcs11/ckr.js';

/** "The smallest number you can choose is two (2), and the largest eight (8)" (AWS CloudHSM user guide, "Manage quorum
 * authentication using CloudHSM CLI"). What is less takes nobody but who does it. */
export const QUORUM_MIN = 2;
export const QUORUM_MAX = 8;

/** How many of its users must approve what is done with a key ("key-quorum-values", reference management-tools, section 6.3). */
export interface KeyQuorum {
  /** Wrapping, unwrapping, sharing it, setting its attributes. */
  readonly manage: number;
  /** Signing and the other uses. */
  readonly use: number;
}

export const NO_KEY_QUORUM: KeyQuorum = { manage: 0, use: 0 };

const isValue = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= QUORUM_MAX;

/** Whether these are values that a key may have, of which not both are 0: a key without a quorum has none. */
export const isKeyQuorum = ({ manage, use }: KeyQuorum): boolean =>
  isValue(manage) && isValue(use) && manage + use > 0;

/**
 * The quorum of a key that `users` are associated with, its owner and those it is shared with: "the quorum value must be equal to or
 * less than the number of users that the key is associated with" (user guide, "Supported service names and types"). undefined for a
 * key without one. Throws CKR_ARGUMENTS_BAD, in the CLI's words.
 */
export function requireKeyQuorum(quorum: KeyQuorum | undefined, users: number): KeyQuorum | undefined {
  if (quorum === undefined || (quorum.manage === 0 && quorum.use === 0)) return undefined;
  if (!isKeyQuorum(quorum) || !hasEnoughUsers(quorum, users))
    throw ckr(
      'CKR_ARGUMENTS_BAD',
      `Invalid quorum value provided. It is 0 to ${QUORUM_MAX}, and the key is shared with as many users, its owner counted (${users})`,
    );
  return { manage: quorum.manage, use: quorum.use };
}

export const hasEnoughUsers = ({ manage, use }: KeyQuorum, users: number): boolean =>
  Math.max(manage, use) <= users;
