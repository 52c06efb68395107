import type { Applications, ClientStatus } from '../bridge/applications.js';
import type { Cluster } from '../cluster/cluster.js';
import type { Profile } from '../objects/deviations.js';

/** What `cloudhsm-local status --json` prints. */
export interface EngineStatus {
  readonly pid: number;
  readonly profile: Profile;
  readonly clusters: readonly ClusterStatus[];
  readonly clients: readonly ClientStatus[];
  /** Deviations in the readiness report that stand between programs and CloudHSM. */
  readonly deviations: number;
}

export interface ClusterStatus {
  readonly id: string;
  readonly state: string;
  readonly hsmType: string;
  readonly mode: string;
  readonly hsms: readonly HsmStatus[];
}

export interface HsmStatus {
  readonly id: string;
  readonly state: string;
  /** null: the HSM runs inside the engine and listens on no address. */
  readonly eniIp: string | null;
  readonly port: number | null;
  readonly users: number;
  readonly tokenKeys: number;
}

export function engineStatus(
  profile: Profile,
  clusters: readonly Cluster[],
  applications: Applications,
  deviations: number,
): EngineStatus {
  return {
    pid: process.pid,
    profile,
    clusters: clusters.map(({ settings, hsms }) => ({
      ...settings,
      state: 'ACTIVE',
      hsms: hsms.map((hsm) => ({
        id: hsm.settings.id,
        state: 'ACTIVE',
        eniIp: null,
        port: null,
        users: hsm.users.count(),
        tokenKeys: hsm.objects.count,
      })),
    })),
    clients: applications.status(),
    deviations,
  };
}
