import type { ClientClusterConfig } from '../base/client-config.js';
import type { Log } from '../base/log.js';
import { RemoteCluster } from '../cluster/remote-cluster.js';
import { digest } from '../crypto/index.js';
import type { ReachedCluster } from '../cryptoki/library.js';
import { sdk5Access } from '../tools/connection/cluster-access.js';
import { readIdentity } from '../tools/connection/identity.js';
import { asConfiguration } from './network.js';

interface Entry {
  readonly opening: Promise<RemoteCluster>;
  cluster: RemoteCluster | undefined;
  uses: number;
}

/**
 * Clusters that are not the engine's, which applications' configurations name: HSMs of another engine, or in processes of their
 * own. Applications that name the same share what the engine has open, for as long as there is one.
 */
export class ReachedClusters {
  readonly #entries = new Map<string, Entry>();

  constructor(private readonly log: Log) {}

  /** Those that are in use. */
  get clusters(): readonly RemoteCluster[] {
    return [...this.#entries.values()].flatMap(({ cluster }) => (cluster === undefined ? [] : [cluster]));
  }

  /** Rejects with BAD_CONFIGURATION for files that cannot be used, with START_FAILED when no HSM can be reached. */
  async reach(file: string, configured: ClientClusterConfig): Promise<ReachedCluster> {
    const { servers, identity: files } = sdk5Access(file, configured);
    const identity = asConfiguration(() => readIdentity(files));
    const key = digest('sha256', Buffer.from(JSON.stringify({ servers, identity }))).toString('hex');
    const present = this.#entries.get(key);
    const entry = present ?? this.#open(key, { servers, identity, log: this.log });
    entry.uses++;
    let used = true;
    const release = (): void => {
      if (!used) return;
      used = false;
      entry.uses--;
      if (entry.uses > 0) return;
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      entry.cluster?.close();
    };
    try {
      return { cluster: await entry.opening, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #open(key: string, options: Parameters<typeof RemoteCluster.open>[0]): Entry {
    const opening = RemoteCluster.open(options);
    const entry: Entry = { opening, cluster: undefined, uses: 0 };
    this.#entries.set(key, entry);
    opening.then(
      (cluster) => {
        entry.cluster = cluster;
      },
      // The next one tries again.
      () => this.#entries.delete(key),
    );
    return entry;
  }

  close(): void {
    for (const cluster of this.clusters) cluster.close();
    this.#entries.clear();
  }
}
