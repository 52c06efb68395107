import type { Role } from '../../hsm/roles.js';
import { oneOf } from '../command-row.js';

/** THE row per type of user, as SDK 5 calls it (reference management-tools, section 1.1). */
export const roleNames = {
  PRECO: 'unactivated-admin',
  CO: 'admin',
  CU: 'crypto-user',
  AU: 'internal(APPLIANCE_USER)',
} as const satisfies Record<Role, string>;

/** Roles that a command line may name. */
const namedRoles = { 'crypto-user': 'CU', admin: 'CO' } as const satisfies Record<string, Role>;
export type RoleName = keyof typeof namedRoles;

export const roleKind = oneOf('crypto-user', 'admin');
export const roleOf = (name: RoleName): 'CU' | 'CO' => namedRoles[name];
export const isRoleName = (name: string): name is RoleName => Object.hasOwn(namedRoles, name);

/** What differs between HSMs is shown as this word. */
export const INCONSISTENT = 'inconsistent';

/** The value that all HSMs agree on. */
export function agreed<T>(values: readonly T[]): T | typeof INCONSISTENT {
  const [first] = values;
  const text = JSON.stringify(first);
  return values.every((value) => JSON.stringify(value) === text) ? first! : INCONSISTENT;
}
