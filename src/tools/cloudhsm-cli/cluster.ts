import type { Failure } from '../../base/errors.js';
import type { Eventually } from '../../base/eventually.js';
import type { ClusterClient } from '../../cluster/cluster-client.js';
import type { AnswerOf, CommandName, RequestOf } from '../../hsm/commands/index.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import type { ClusterAccess } from '../connection/cluster-access.js';
import { HsmGroup } from '../connection/hsm-group.js';
import { refused } from '../failure.js';
import { messageOf } from './messages.js';
import type { RoleName } from './names.js';

const TOO_FEW_HSMS =
  'Cannot perform the requested key operation as the key must be available on at least 2 HSMs';

/** Who is logged in on all HSMs of a cluster. */
export interface CliLogin {
  readonly username: string;
  readonly role: RoleName;
}

/** A cluster that the CLI is connected to. */
export class CliCluster {
  #login: CliLogin | undefined;
  /** Where the login is. */
  #loggedIn: ReadonlySet<HsmConnection> = new Set();

  private constructor(
    readonly id: string,
    readonly access: ClusterAccess,
    readonly group: HsmGroup,
  ) {}

  get login(): CliLogin | undefined {
    return this.#login;
  }

  set login(login: CliLogin | undefined) {
    this.#login = login;
    this.#loggedIn = new Set(this.group.connected.map(({ connection }) => connection));
  }

  /** Connects to HSMs that were lost. A login ended there with the connection: then it ends everywhere. Throws REFUSED. */
  async reconnect(): Promise<void> {
    await this.group.connect();
    if (this.#login === undefined) return;
    if (this.group.connected.every(({ connection }) => this.#loggedIn.has(connection))) return;
    this.#login = undefined;
    await this.group.each((connection) => connection.send('logout', undefined));
    throw refused('an HSM was lost and came back, and with it the login ended: log in again');
  }

  /** Throws REFUSED, also where the cluster is not the one that the configuration says. */
  static async open(access: ClusterAccess): Promise<CliCluster> {
    const { group, clusterId } = await HsmGroup.ofCluster(access);
    if (access.clusterId !== undefined && access.clusterId !== clusterId) {
      group.close();
      throw refused(
        `the HSMs are those of ${clusterId}, not of ${access.clusterId}: configure the tool anew`,
      );
    }
    return new CliCluster(clusterId, access, group);
  }

  /** HSMs that cannot be reached, and why. */
  get missing(): readonly string[] {
    return this.group.members.filter(({ connected }) => !connected).map(({ failure }) => failure);
  }

  /**
   * Runs some work on every HSM. All must do it: an HSM that did not, makes it an error that says so ("failed on 1 of 3
   * connections", section 6.8). Nothing is begun while one of them cannot be reached: nobody would make up for it.
   */
  async onAll<T>(what: string, work: (connection: HsmConnection) => Eventually<T>): Promise<T[]> {
    const { missing } = this;
    if (missing.length > 0) throw this.#partly(what, missing);
    return this.onConnected(what, work);
  }

  /** The same, on those HSMs that can be reached. */
  async onConnected<T>(what: string, work: (connection: HsmConnection) => Eventually<T>): Promise<T[]> {
    const { connected } = this.group;
    if (connected.length === 0) throw this.#partly(what, this.missing);
    const results = await Promise.allSettled(connected.map(async ({ connection }) => work(connection)));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (failures.length === 0)
      return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const reasons = failures.map(messageOf);
    const [first] = failures;
    if (failures.length === this.group.members.length && new Set(reasons).size === 1) throw first;
    throw this.#partly(what, reasons, first);
  }

  #partly(what: string, reasons: readonly string[], cause?: unknown): Failure {
    const { length: all } = this.group.members;
    return refused(
      `${what} failed on ${reasons.length} of ${all} connections: ${[...new Set(reasons)].join('; ')}`,
      cause,
    );
  }

  sendToAll<N extends CommandName>(what: string, name: N, request: RequestOf<N>): Promise<AnswerOf<N>[]> {
    return this.onAll(what, (connection) => connection.send(name, request));
  }

  /** Asks the HSMs that can be reached; an answer of one of them is enough. */
  ofReachable<N extends CommandName>(name: N, request: RequestOf<N>): Promise<AnswerOf<N>[]> {
    return this.onReachable((connection) => connection.send(name, request));
  }

  async onReachable<T>(work: (connection: HsmConnection) => Eventually<T>): Promise<T[]> {
    const results = await this.group.each((connection) => work(connection));
    const answers = results.flatMap(({ result }) => (result.status === 'fulfilled' ? [result.value] : []));
    const failure = results.find(({ result }) => result.status === 'rejected')?.result;
    if (answers.length === 0 && failure?.status === 'rejected') throw failure.reason;
    return answers;
  }

  /** Works with the HSMs as one, for commands on keys. */
  async withClient<T>(work: (client: ClusterClient) => Eventually<T>): Promise<T> {
    let lacking = false;
    const notice = (): boolean => {
      lacking = true;
      return false;
    };
    const client = this.group.client({
      keyAvailability: this.access.availabilityCheck ? { unless: notice } : 'off',
    });
    try {
      return await work(client);
    } catch (error) {
      throw lacking ? refused(TOO_FEW_HSMS, error) : error;
    } finally {
      client.close();
    }
  }

  close(): void {
    this.group.close();
  }
}
