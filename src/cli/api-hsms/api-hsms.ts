import type { Cluster, ClusterView } from '../../cluster/cluster.js';
import type { HsmHost } from '../../control-plane/hsm-host.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import type { Listener } from '../listeners.js';
import type { ClusterStatus } from '../status.js';

/** What runs the HSMs of the API's clusters, as the engine sees it: this process, or one process each. */
export interface ApiHsms {
  readonly host: HsmHost;
  /** Those that programs can use: they have HSMs and an owner. */
  readonly clusters: readonly ClusterView[];
  /** Those of them whose HSMs are in this process. */
  readonly local: readonly Cluster[];
  /** HSMs in processes of their own, by id. */
  readonly processes: ReadonlyMap<string, Listener>;
  /** Where the HSMs of a cluster listen. */
  addressesOf(cluster: ClusterView): readonly string[];
  /** A connection to one of the HSMs of such a cluster, as this machine's programs have it. */
  connect(clusterId: string): Promise<HsmConnection>;
  status(cluster: ClusterView): Promise<ClusterStatus>;
  /** Resolves when programs can use the clusters that there are. */
  settled(): Promise<void>;
  /** Ends all of them; what they keep stays. */
  close(): Promise<void>;
}
