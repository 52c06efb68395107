/** The types of HSM there are. hsm2m.medium has more keys, later mechanisms and certificate storage; what else differs
 * is said in rows where it matters. */
export const hsmTypes = ['hsm1.medium', 'hsm2m.medium'] as const;
export type HsmType = (typeof hsmTypes)[number];
