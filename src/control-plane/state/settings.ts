/** Where a subnet is. */
export interface SubnetPlace {
  readonly vpcId: string;
  readonly availabilityZone: string;
  /** `a.b.c.d/n`: HSMs listen on its addresses. */
  readonly cidr: string;
  /** `a:b:c:d::/64`; without one it has no HSMs of DUALSTACK clusters. */
  readonly ipv6Cidr?: string | undefined;
}

export interface ControlPlaneSettings {
  /** States last as long as on AWS, or as long as their work takes. */
  readonly awsTiming: boolean;
  /** Whether clusters of hsm1.medium are made at all; where they are, the profile has a say (objects/deviations.ts). */
  readonly offerHsm1: boolean;
  /** Per account and region: "4 clusters, 6 HSMs", raisable. */
  readonly quotas: { readonly clusters: number; readonly hsms: number };
  /** How long what is DELETED stays listed: undocumented. */
  readonly tombstoneMs: number;
  /** How often HSMs are looked after: one that does not work three times in a row is replaced. */
  readonly healthCheckMs: number;
  /** Where subnets are, by id; one that is not here is given a place when it is first named. */
  readonly subnets: Readonly<Record<string, SubnetPlace>>;
  /** Two control planes on one machine that differ in it give HSMs different addresses. */
  readonly networkSeed: string;
}

export const standardSettings: ControlPlaneSettings = {
  awsTiming: false,
  offerHsm1: true,
  quotas: { clusters: 4, hsms: 6 },
  tombstoneMs: 3_600_000,
  healthCheckMs: 30_000,
  subnets: {},
  networkSeed: '',
};
