import { describeError } from '../../base/errors.js';
import type { Eventually } from '../../base/eventually.js';
import { silentLog } from '../../base/log.js';
import { type ClientOptions, ClusterClient } from '../../cluster/cluster-client.js';
import { connectToHsm } from '../../cluster/connect-to-hsm.js';
import { RemoteCluster } from '../../cluster/remote-cluster.js';
import type { TlsIdentity } from '../../cluster/tls.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import { HsmUnavailable } from '../../hsm/unavailable.js';
import type { ClientSwitches } from '../../wire/hsm-frames.js';
import { refused } from '../failure.js';
import type { ClusterAccess, NamedServer } from './cluster-access.js';
import { readIdentity } from './identity.js';

/** One HSM that a tool talks to, connected or not. */
export class GroupMember {
  #connection: HsmConnection | undefined;
  #failure = 'it is not connected';

  constructor(
    readonly index: number,
    readonly server: NamedServer,
    private readonly identity: TlsIdentity,
    private readonly switches: ClientSwitches = {},
  ) {}

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** Why there is no connection. */
  get failure(): string {
    return this.#failure;
  }

  /** Connects, if it is not; whether it then is. */
  async connect(): Promise<boolean> {
    if (this.#connection !== undefined) return true;
    try {
      const connection = await connectToHsm({
        endpoint: this.server,
        identity: this.identity,
        // What a profile lets pass is for programs of others, and in their engine's report: nobody would hear of it here.
        switches: { ...this.switches, asCloudHsm: true },
        onLost: () => {
          if (this.#connection === connection) this.#connection = undefined;
          this.#failure = 'the connection is lost';
        },
      });
      this.#connection = connection;
      return true;
    } catch (error) {
      this.#failure = describeError(error);
      return false;
    }
  }

  /** Throws HsmUnavailable. */
  get connection(): HsmConnection {
    if (this.#connection === undefined) throw new HsmUnavailable('unreachable', this.#failure);
    return this.#connection;
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** What one HSM answered. */
export interface MemberResult<T> {
  readonly member: GroupMember;
  readonly result: PromiseSettledResult<T>;
}

/**
 * The HSMs that a tool is connected to, each by a connection of its own: administrators' commands go to every one of them, and
 * each has its own answer ("users are not synchronised by the service", reference management-tools, section 1.3).
 */
export class HsmGroup {
  constructor(readonly members: readonly GroupMember[]) {}

  /** Connects to every HSM of a cluster: those that the file names tell of the others. Throws START_FAILED or REFUSED. */
  static async ofCluster(
    access: ClusterAccess,
    switches: ClientSwitches = {},
  ): Promise<{ group: HsmGroup; clusterId: string }> {
    const identity = readIdentity(access.identity);
    if (access.servers.length === 0) throw refused('the configuration names no HSM that is enabled');
    const cluster = await RemoteCluster.open({ servers: access.servers, identity, log: silentLog });
    const { members, settings } = cluster;
    cluster.close();
    const group = new HsmGroup(
      members.map(
        ({ id, eniIp, port }, index) =>
          new GroupMember(index, { name: id, host: eniIp, port }, identity, switches),
      ),
    );
    await group.connect();
    return { group, clusterId: settings.id };
  }

  /** Connects to what is not connected. */
  async connect(): Promise<void> {
    await Promise.all(this.members.map((member) => member.connect()));
  }

  get connected(): readonly GroupMember[] {
    return this.members.filter(({ connected }) => connected);
  }

  /** Runs some work on every HSM at the same time; an HSM that is not connected has a result as well. */
  each<T>(
    work: (connection: HsmConnection, member: GroupMember) => Eventually<T>,
  ): Promise<MemberResult<T>[]> {
    return Promise.all(
      this.members.map(async (member) => {
        const [result] = await Promise.allSettled([(async () => work(member.connection, member))()]);
        return { member, result: result! };
      }),
    );
  }

  /**
   * The connected HSMs as one, for commands on keys: who is logged in on the connections stays so. Session keys are on the first.
   * Close it after the command; the connections stay. Throws CKR_TOKEN_NOT_PRESENT.
   */
  client(options: ClientOptions = {}): ClusterClient {
    const links = this.connected.map(({ connection }) => {
      const kept: HsmConnection = {
        hsmId: connection.hsmId,
        send: (name, request, cause) => connection.send(name, request, cause),
        close: () => undefined,
      };
      return { hsmId: connection.hsmId, direct: true, connect: () => kept };
    });
    return new ClusterClient({ current: () => links, watch: () => () => undefined }, options);
  }

  close(): void {
    for (const member of this.members) member.close();
  }
}
