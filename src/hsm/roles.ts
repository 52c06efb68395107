/*
 * Types of users, and which of them may send which command.
 */

/**
 * THE row per type of user (reference management-tools, section 1.1): its name and number in audit logs.
 *
 * PRECO: the `admin` of a cluster that is not activated. CO: administers users. CU: owns and uses keys. AU: the service's own
 * account. A PCO is a CO by its older name: tools translate.
 */
export const roleRows = {
  PRECO: { auditName: 'CN_CRYPTO_PRE_OFFICER', number: 6 },
  CO: { auditName: 'CN_CRYPTO_OFFICER', number: 2 },
  CU: { auditName: 'CN_CRYPTO_USER', number: 1 },
  AU: { auditName: 'CN_APPLIANCE_USER', number: 5 },
} as const;

export type Role = keyof typeof roleRows;
export const roles = Object.keys(roleRows) as readonly Role[];

/** THE row per kind of permission (section 1.2): the roles that have it. `none`: nobody needs to be logged in. */
export const logins = {
  none: roles,
  any: roles,
  CU: ['CU'],
  CO: ['CO'],
  /** Attributes of keys: a CO sets CKA_TRUSTED of any key, a CU the others of its own. */
  keyAdministration: ['CO', 'CU'],
  /** Keys to approve with, tokens and approvals: COs for users and settings, CUs for their keys (section 6.7). */
  quorum: ['CO', 'CU'],
  /** The other HSMs of the cluster. */
  AU: ['AU'],
  /** "Extract / insert masked objects": a CU its own. */
  maskedObjects: ['CO', 'CU', 'AU'],
} as const satisfies Record<string, readonly Role[]>;

export type Login = keyof typeof logins;

export function mayLoginSend(role: Role, login: Login): boolean {
  return (logins[login] as readonly Role[]).includes(role);
}
