import type { ClientStatus } from '../bridge/applications.js';
import type { ClusterSettings } from '../cluster/cluster.js';
import type { HsmServer } from '../cluster/hsm-server.js';
import type { RemoteCluster } from '../cluster/remote-cluster.js';
import type { Condition } from '../hsm/faults.js';
import type { Hsm } from '../hsm/hsm.js';
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
  /** What is wrong with it: a fault on demand, or that it has still to catch up. */
  readonly condition: Condition | null;
  /** null: it listens on no address; the log says why. */
  readonly eniIp: string | null;
  readonly port: number | null;
  /** null for an HSM in another process: only that one knows. */
  readonly users: number | null;
  readonly tokenKeys: number | null;
}

/** HSMs of this process, and where they listen. */
export function localStatus(
  settings: ClusterSettings,
  hsms: readonly Hsm[],
  servers: readonly HsmServer[],
): ClusterStatus {
  return {
    ...settings,
    state: 'ACTIVE',
    hsms: hsms.map((hsm) => {
      const { id } = hsm.settings;
      const server = servers.find(({ hsmId }) => hsmId === id);
      return {
        id,
        state: hsm.condition === undefined ? 'ACTIVE' : 'DEGRADED',
        condition: hsm.condition ?? null,
        eniIp: server?.eniIp ?? null,
        port: server?.ports[0] ?? null,
        users: hsm.users.count(),
        tokenKeys: hsm.objects.count,
      };
    }),
  };
}

/** HSMs of other processes, as far as their client knows. */
export function remoteStatus(cluster: RemoteCluster): ClusterStatus {
  return {
    ...cluster.settings,
    state: 'ACTIVE',
    hsms: cluster.members.map((member) => {
      const { id, eniIp, port } = member;
      const reached = cluster.reaches(member);
      const condition = reached ? null : 'unreachable';
      return {
        id,
        state: reached ? 'ACTIVE' : 'DEGRADED',
        condition,
        eniIp,
        port,
        users: null,
        tokenKeys: null,
      };
    }),
  };
}
