import { describeError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { RemoteCluster } from '../../cluster/remote-cluster.js';
import type { TlsIdentity } from '../../cluster/tls.js';
import type { Members } from '../../wire/hsm-frames.js';

interface Entry {
  members: Members;
  /** An HSM is asked who the engine is to its cluster; what fails is tried again at the next change. */
  opening: Promise<void> | undefined;
  identity: TlsIdentity | undefined;
  cluster: RemoteCluster | undefined;
}

/** Clusters whose HSMs the engine has started in other processes: it knows first where they are. */
export class ToldClusters {
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  /** @param identityFrom what an HSM gives a client of its machine */
  constructor(
    private readonly identityFrom: (hsmId: string) => Promise<TlsIdentity>,
    private readonly log: Log,
  ) {}

  /** Those that have HSMs. */
  get all(): readonly RemoteCluster[] {
    const clusters = [...this.#entries.values()].flatMap(({ cluster }) => cluster ?? []);
    return clusters.filter(({ members }) => members.length > 0);
  }

  of(clusterId: string): RemoteCluster | undefined {
    return this.#entries.get(clusterId)?.cluster;
  }

  follow(members: Members): void {
    const present = this.#entries.get(members.clusterId);
    if (present?.cluster !== undefined) {
      present.members = members;
      void present.cluster.follow(members);
      return;
    }
    const entry = present ?? { members, opening: undefined, identity: undefined, cluster: undefined };
    entry.members = members;
    this.#entries.set(members.clusterId, entry);
    const [first] = members.hsms;
    if (first === undefined || this.#closed) return;
    entry.opening ??= this.#open(entry, first.id).catch((error) => {
      this.log.warn({ cluster: members.clusterId }, describeError(error));
      entry.opening = undefined;
    });
  }

  async #open(entry: Entry, hsmId: string): Promise<void> {
    entry.identity = await this.identityFrom(hsmId);
    if (this.#closed) return;
    const cluster = new RemoteCluster({ servers: [], identity: entry.identity, log: this.log });
    const reached = cluster.follow(entry.members);
    entry.cluster = cluster;
    await reached;
  }

  /** Resolves when programs can use the clusters that there are. */
  async settled(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ opening }) => opening));
  }

  /** Where the HSMs of a cluster are, and who the engine is to them. */
  async ready(clusterId: string): Promise<{ identity: TlsIdentity; members: Members }> {
    const entry = this.#entries.get(clusterId);
    await entry?.opening;
    if (entry?.identity === undefined) throw new Error(`no HSM of ${clusterId} can be used yet`);
    return { identity: entry.identity, members: entry.members };
  }

  close(): void {
    this.#closed = true;
    for (const { cluster } of this.#entries.values()) cluster?.close();
  }
}
