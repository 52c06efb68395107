import { rowsFor, shown } from '../command-row.js';
import type { ClusterAccess } from '../connection/cluster-access.js';
import { refused } from '../failure.js';
import type { Terminal } from '../terminal.js';
import { CliCluster } from './cluster.js';

/** What a command of the CLI works with. */
export interface CliContext {
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  readonly clusters: CliClusters;
  /** The cluster that the command is about. */
  readonly cluster: CliCluster;
  /** Single-command mode: credentials come from the environment. */
  readonly single: boolean;
}

/** Makes the rows of the CLI: what they answer stands in `data`. */
export const command = rowsFor<CliContext, unknown>();

const unknownCluster = (id: string): Error => refused(`the configuration names no cluster '${shown(id)}'`);

/** The clusters of the configuration, each connected when it is first needed. */
export class CliClusters {
  readonly #open = new Map<ClusterAccess, Promise<CliCluster>>();

  constructor(
    readonly configured: readonly ClusterAccess[],
    /** What interactive mode was started with. */
    private readonly usual?: string | undefined,
  ) {}

  get several(): boolean {
    return this.configured.length > 1;
  }

  /** Connects, and again to HSMs that were lost. Throws REFUSED. */
  async get(id: string | undefined = this.usual): Promise<CliCluster> {
    const access = this.#find(id);
    const opening = this.#open.get(access) ?? CliCluster.open(access);
    this.#open.set(access, opening);
    let cluster: CliCluster;
    try {
      cluster = await opening;
    } catch (error) {
      this.#open.delete(access);
      throw error;
    }
    if (id !== undefined && cluster.id !== id) throw unknownCluster(id);
    return cluster;
  }

  #find(id: string | undefined): ClusterAccess {
    const { configured } = this;
    if (configured.length === 1) return configured[0]!;
    if (id === undefined)
      throw refused('the configuration names several clusters: choose one with --cluster-id');
    const found = configured.find(({ clusterId }) => clusterId === id);
    if (found === undefined) throw unknownCluster(id);
    return found;
  }

  /** Who is logged in where, for the prompt. */
  async logins(): Promise<readonly CliCluster[]> {
    const clusters = await Promise.all(this.#open.values());
    return clusters.filter(({ login }) => login !== undefined);
  }

  async close(): Promise<void> {
    for (const opening of this.#open.values()) (await opening).close();
  }
}
