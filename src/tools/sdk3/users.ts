import type { Role } from '../../hsm/roles.js';

/** THE row per type of user that the tools of Client SDK 3 take: the HSM's role. A PCO is a CO by its older name (reference
 * management-tools, section 1.1). Types are case-sensitive; PreCO is written in three ways. */
const userTypes = {
  CO: 'CO',
  CU: 'CU',
  PCO: 'CO',
  PRECO: 'PRECO',
  PreCO: 'PRECO',
  preCO: 'PRECO',
  AU: 'AU',
} as const satisfies Record<string, Role>;

export const userTypeNames: readonly string[] = Object.keys(userTypes);

export function roleOf(userType: string): Role | undefined {
  return Object.hasOwn(userTypes, userType) ? userTypes[userType as keyof typeof userTypes] : undefined;
}
