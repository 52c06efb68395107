import type { ClientStatus } from '../bridge/applications.js';
import type { ClusterSettings } from '../cluster/cluster.js';
import type { HsmServer } from '../cluster/hsm-server.js';
import type { RemoteCluster } from '../cluster/remote-cluster.js';
import type { Condition } from '../hsm/faults.js';
import type { Hsm } from '../hsm/hsm.js';
import type { UserInfo } from '../hsm/user-records.js';
import type { Profile } from '../objects/deviations.js';
import type { Member } from '../wire/hsm-frames.js';

/** What `cloudhsm-local status --json` prints. */
export interface EngineStatus {
  /** null: the HSMs run in processes of their own. */
  readonly pid: number | null;
  readonly profile: Profile;
  /** Where AWS's clients find the cloudhsmv2 API. */
  readonly endpoint?: string;
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
  /** Users that are not the same on all HSMs that answer: nobody but an administrator brings them together. */
  readonly differingUsers: readonly string[];
}

export interface HsmStatus {
  readonly id: string;
  readonly state: 'ACTIVE' | 'DEGRADED' | 'STOPPED';
  /** What is wrong with it: a fault on demand, or that it has still to catch up. */
  readonly condition: Condition | null;
  /** null: it listens on no address; the log says why. */
  readonly eniIp: string | null;
  readonly port: number | null;
  /** null: it does not answer. */
  readonly users: number | null;
  /** null for an HSM in another process: only that one knows. */
  readonly tokenKeys: number | null;
}

/** The users of some HSMs, by HSM. */
export type UserLists = Readonly<Record<string, readonly UserInfo[]>>;

/** What tools call inconsistent (tools reference, section 1.3): there, under another id, in another role, or locked on some HSMs
 * only. */
export function differingUsers(lists: UserLists): string[] {
  const tables = Object.values(lists).map(
    (users) => new Map(users.map(({ name, id, role, locked }) => [name, `${id} ${role} ${locked}`])),
  );
  const names = new Set(tables.flatMap((users) => [...users.keys()]));
  return [...names].filter((name) => new Set(tables.map((users) => users.get(name))).size > 1).sort();
}

export const usersOf = (hsms: readonly Hsm[]): UserLists =>
  Object.fromEntries(hsms.map(({ settings, users }) => [settings.id, users.list()]));

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
    differingUsers: differingUsers(usersOf(hsms)),
  };
}

/** HSMs of other processes, as far as their client knows. */
export async function remoteStatus(cluster: RemoteCluster): Promise<ClusterStatus> {
  const lists = new Map<Member, readonly UserInfo[]>();
  await Promise.all(
    cluster.members.map(async (member) => {
      const users = await cluster.users(member);
      if (users !== undefined) lists.set(member, users);
    }),
  );
  return {
    ...cluster.settings,
    state: 'ACTIVE',
    hsms: cluster.members.map((member) => {
      const { id, eniIp, port } = member;
      const users = lists.get(member)?.length ?? null;
      const [state, condition] =
        users === null ? (['DEGRADED', 'unreachable'] as const) : (['ACTIVE', null] as const);
      return { id, state, condition, eniIp, port, users, tokenKeys: null };
    }),
    differingUsers: differingUsers(Object.fromEntries([...lists].map(([{ id }, users]) => [id, users]))),
  };
}

/** What the process of an HSM, or an engine, says of its HSMs. */
export interface SaidOfHsms {
  readonly status: EngineStatus;
  readonly users: UserLists;
}

/** What the processes of a cluster's HSMs say, brought together; `ids` are all that there are. */
export function mergedHsms(
  said: readonly SaidOfHsms[],
  ids: readonly string[],
): Pick<ClusterStatus, 'hsms' | 'differingUsers'> {
  const clusters = said.flatMap(({ status }) => status.clusters);
  const present = new Map(clusters.flatMap(({ hsms }) => hsms.map((hsm) => [hsm.id, hsm])));
  const stopped = { condition: null, eniIp: null, port: null, users: null, tokenKeys: null } as const;
  const hsms = ids.map((id) => present.get(id) ?? { id, state: 'STOPPED' as const, ...stopped });
  const lists = Object.assign({}, ...said.map(({ users }) => users)) as UserLists;
  return { hsms, differingUsers: differingUsers(lists) };
}

/** One status from those of the processes of a cluster's HSMs; `ids` are all that the home has. */
export function mergedStatus(said: readonly SaidOfHsms[], ids: readonly string[]): EngineStatus {
  const { status } = said[0]!;
  return { ...status, pid: null, clusters: [{ ...status.clusters[0]!, ...mergedHsms(said, ids) }] };
}
