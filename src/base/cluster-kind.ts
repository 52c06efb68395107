/** The types of HSM there are. hsm2m.medium has more keys, later mechanisms and certificate storage; what else differs
 * is said in rows where it matters. */
export const hsmTypes = ['hsm1.medium', 'hsm2m.medium'] as const;
export type HsmType = (typeof hsmTypes)[number];

export const clusterModes = ['FIPS', 'NON_FIPS'] as const;
export type ClusterMode = (typeof clusterModes)[number];

/** What decides which mechanisms a cluster has (reference sections 8, 9.1 and 9.2). */
export interface ClusterKind {
  readonly hsmType: HsmType;
  readonly mode: ClusterMode;
}

/** Every kind of cluster there is: "hsm1.medium (always FIPS mode)". */
export const clusterKinds: readonly ClusterKind[] = [
  { hsmType: 'hsm1.medium', mode: 'FIPS' },
  { hsmType: 'hsm2m.medium', mode: 'FIPS' },
  { hsmType: 'hsm2m.medium', mode: 'NON_FIPS' },
];

export function isClusterKind({ hsmType, mode }: ClusterKind): boolean {
  return clusterKinds.some((kind) => kind.hsmType === hsmType && kind.mode === mode);
}

/** THE row per type: "hsm1 backup → hsm1 or hsm2m; hsm2m backup → hsm2m only" (reference control-plane-and-backups, section 8.5). */
const restoredOn: { readonly [Type in HsmType]: readonly HsmType[] } = {
  'hsm1.medium': ['hsm1.medium', 'hsm2m.medium'],
  'hsm2m.medium': ['hsm2m.medium'],
};

/** Whether HSMs of one type restore backups of another. */
export function mayRestoreOn(from: HsmType, to: HsmType): boolean {
  return restoredOn[from].includes(to);
}

/** What to tell somebody who asks for a kind that there is not. */
export const noSuchKind = 'hsm1.medium is always in FIPS mode: choose mode FIPS, or hsmType hsm2m.medium';
