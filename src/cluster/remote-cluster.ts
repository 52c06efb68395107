import { setTimeout as sleep } from 'node:timers/promises';
import { commandFailure, describeError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { HsmConnection } from '../hsm/hsm.js';
import { NobodyListens } from '../hsm/unavailable.js';
import type { UserInfo } from '../hsm/user-records.js';
import { type MechanismTable, mechanismsOf } from '../mechanisms/mechanism-table.js';
import type { Member, Members } from '../wire/hsm-frames.js';
import type { ClusterSettings, ClusterView, ConnectOptions, NamedHsm } from './cluster.js';
import { type ClientOptions, ClusterClient } from './cluster-client.js';
import { Complaints } from './complaints.js';
import { connectToHsm, type ReachTimeouts } from './connect-to-hsm.js';
import { IdleStreams } from './idle-streams.js';
import type { HsmLink } from './links.js';
import type { TlsIdentity } from './tls.js';
import type { HsmEndpoint } from './tls-connection.js';

export interface RemoteClusterOptions {
  /** HSMs to begin with: they name the others. */
  readonly servers: readonly HsmEndpoint[];
  readonly identity: TlsIdentity;
  readonly log: Log;
  readonly client?: Omit<ClientOptions, 'allowed'>;
  readonly timeouts?: ReachTimeouts;
  /** Where nobody listens yet it waits so long for somebody who does, and says so. */
  readonly waiting?: { readonly ms: number; began(why: string): void };
}

interface LinkedHsm {
  readonly member: Member;
  readonly link: HsmLink;
  readonly idle: IdleStreams;
}

const named = ({ id, eniIp: host, port }: Member): NamedHsm => ({ settings: { id, host, port } });

const RETRY_MS = 1_000;
const USERS_TIMEOUT_MS = 2_000;

/**
 * A cluster whose HSMs run in other processes. It listens to each of them for who else there is ("the client learns the
 * other HSMs itself at run time", tools reference 3.3), and all of its clients follow.
 */
export class RemoteCluster implements ClusterView {
  readonly #watchers = new Set<() => void>();
  readonly #monitors = new Map<string, HsmConnection | 'connecting' | 'away'>();
  readonly #links = new Map<string, LinkedHsm>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #complaints: Complaints;
  #members: Members | undefined;
  #closed = false;

  /** It has no HSMs before it is told of some. */
  constructor(private readonly options: RemoteClusterOptions) {
    this.#complaints = new Complaints(options.log, 'connected', (hsm) => ({ hsm }));
  }

  /** Resolves when one of the HSMs has said what cluster it is of. Rejects with START_FAILED when none can be reached, or is to be
   * waited for. */
  static async open(options: RemoteClusterOptions): Promise<RemoteCluster> {
    const cluster = new RemoteCluster(options);
    const heard = new Promise<void>((resolve) => {
      const listening = (): void => {
        if (cluster.#members === undefined) return;
        cluster.#watchers.delete(listening);
        resolve();
      };
      cluster.#watchers.add(listening);
    });
    try {
      await cluster.#begin(heard);
    } catch (error) {
      cluster.close();
      throw error;
    }
    await heard;
    return cluster;
  }

  /** Resolves when there is an HSM to listen to. */
  async #begin(heard: Promise<void>): Promise<void> {
    const { servers, waiting, log } = this.options;
    try {
      await Promise.any(servers.map((server) => this.#monitor(server)));
    } catch (error) {
      const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
      const why = errors.map(describeError).join('; ') || 'no server is enabled';
      const failure = commandFailure('START_FAILED', `no HSM can be reached: ${why}`);
      const mayCome = errors.length > 0 && errors.every((one) => one instanceof NobodyListens);
      if (!mayCome || waiting === undefined || waiting.ms === 0) throw failure;
      log.warn(`waiting for an HSM: ${why}`);
      waiting.began(why);
      const givenUp = new AbortController();
      const tooLong = sleep(waiting.ms, failure, { signal: givenUp.signal });
      const late = await Promise.race([heard, tooLong]);
      givenUp.abort();
      if (late !== undefined) throw late;
    }
  }

  get settings(): ClusterSettings {
    const { clusterId: id, hsmType, mode } = this.#members!;
    return { id, hsmType, mode };
  }

  get mechanisms(): MechanismTable {
    return mechanismsOf(this.settings);
  }

  get members(): readonly Member[] {
    return this.#members?.hsms ?? [];
  }

  get hsms(): readonly NamedHsm[] {
    return this.members.map(named);
  }

  /** Whether the cluster's monitor has a connection to the HSM at the moment. */
  #reaches({ eniIp, port }: Member): boolean {
    return typeof this.#monitors.get(`${eniIp}:${port}`) === 'object';
  }

  get reachable(): boolean {
    return this.members.some((member) => this.#reaches(member));
  }

  /** The users of an HSM; undefined if it does not answer soon. */
  async users({ eniIp, port }: Member): Promise<readonly UserInfo[] | undefined> {
    const monitor = this.#monitors.get(`${eniIp}:${port}`);
    if (typeof monitor !== 'object') return undefined;
    const asked = Promise.resolve(monitor.send('listUsers', undefined)).catch(() => undefined);
    return Promise.race([asked, sleep(USERS_TIMEOUT_MS, undefined, { ref: false })]);
  }

  connect({ uses = () => true, ...options }: ConnectOptions = {}): ClusterClient {
    const links = {
      current: () =>
        [...this.#links.values()].filter(({ member }) => uses(named(member))).map(({ link }) => link),
      watch: (changed: () => void) => {
        this.#watchers.add(changed);
        return () => void this.#watchers.delete(changed);
      },
    };
    return new ClusterClient(links, { log: this.options.log, ...this.options.client, ...options });
  }

  async #monitor({ host, port }: HsmEndpoint): Promise<void> {
    const key = `${host}:${port}`;
    this.#monitors.set(key, 'connecting');
    const { identity, timeouts } = this.options;
    try {
      const connection = await connectToHsm({
        endpoint: { host, port },
        identity,
        watches: true,
        onMembers: (members) => void this.follow(members),
        onLost: () => this.#monitorLater({ host, port }),
        ...(timeouts && { timeouts }),
      });
      if (this.#closed) connection.close();
      else this.#monitors.set(key, connection);
      this.#complaints.worked(key);
    } catch (error) {
      this.#complaints.failed(key, error);
      this.#monitorLater({ host, port });
      throw error;
    }
  }

  #monitorLater({ host, port }: HsmEndpoint): void {
    const key = `${host}:${port}`;
    this.#monitors.set(key, 'away');
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const isMember = this.members.some((member) => member.eniIp === host && member.port === port);
      const isServer = this.options.servers.some((server) => server.host === host && server.port === port);
      if (isMember || isServer) this.#monitor({ host, port }).catch(() => undefined);
      else {
        this.#monitors.delete(key);
        this.#complaints.forget(key);
      }
    }, RETRY_MS).unref();
    this.#timers.add(timer);
  }

  /** Takes over the latest list of HSMs there is. Resolves when those that are new were reached, or not. */
  async follow(members: Members): Promise<void> {
    const known = this.#members;
    if (known !== undefined && (members.version <= known.version || members.clusterId !== known.clusterId))
      return;
    this.#members = members;
    const attempts: Promise<void>[] = [];
    const ids = new Set(members.hsms.map(({ id }) => id));
    for (const id of this.#links.keys()) if (!ids.has(id)) this.#unlink(id);
    for (const member of members.hsms) {
      const present = this.#links.get(member.id)?.member;
      if (present?.eniIp !== member.eniIp || present.port !== member.port) this.#link(member);
      const { eniIp: host, port } = member;
      if (!this.#monitors.has(`${host}:${port}`)) attempts.push(this.#monitor({ host, port }));
    }
    this.options.log.info(
      { cluster: members.clusterId, hsms: members.hsms.map(({ id }) => id) },
      `cluster version is ${known?.version ?? 0}; incoming cluster version is ${members.version}`,
    );
    for (const watcher of this.#watchers) watcher();
    await Promise.allSettled(attempts);
  }

  #unlink(id: string): void {
    this.#links.get(id)?.idle.close();
    this.#links.delete(id);
  }

  #link(member: Member): void {
    const { identity, timeouts } = this.options;
    const { id: hsmId, eniIp: host, port } = member;
    const idle = new IdleStreams();
    const link: HsmLink = {
      hsmId,
      direct: false,
      connect: (allowed, switches, onLost) =>
        connectToHsm({
          endpoint: { host, port },
          identity,
          allowed,
          switches,
          onLost,
          idle,
          ...(timeouts && { timeouts }),
        }),
    };
    this.#unlink(hsmId);
    this.#links.set(hsmId, { member, link, idle });
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const { idle } of this.#links.values()) idle.close();
    for (const monitor of this.#monitors.values()) if (typeof monitor === 'object') monitor.close();
  }
}
