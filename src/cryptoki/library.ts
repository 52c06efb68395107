import {
  type ClientClusterConfig,
  type ClientConfigFile,
  libraryOptions,
  unusableConfig,
} from '../base/client-config.js';
import type { ClusterView, NamedHsm } from '../cluster/cluster.js';
import type { Profile } from '../objects/deviations.js';
import type { LibraryLog } from './library-log.js';
import type { ReadinessRecord } from './readiness.js';
import type { Slot } from './slot.js';

/** What the library is for one application, from C_Initialize to C_Finalize. */
export interface Library {
  readonly slots: readonly Slot[];
  readonly log: LibraryLog;
  /** Where deviations of the application are recorded. */
  readonly readiness: ReadinessRecord;
  /** Gives up what was opened for this application alone. */
  readonly release?: () => void;
}

/** A cluster that is not the engine's, for as long as an application uses it. */
export interface ReachedCluster {
  readonly cluster: ClusterView;
  release(): void;
}

/** An error about a field of the entry. */
type Unusable = (field: string, why: string) => Error;

/** What an engine offers to applications. */
export interface EngineOffer {
  readonly clusters: readonly ClusterView[];
  readonly profile: Profile;
  readonly readiness: ReadinessRecord;
  /** The engine's switch for the key availability check; undefined: nobody has stated it. */
  readonly keyAvailabilityCheck?: boolean | undefined;
  /** Where the HSMs of a cluster of the engine listen. */
  readonly addressesOf?: (cluster: ClusterView) => readonly string[];
  /** The certificates, DER, for which an entry names the files and has the key; undefined: it names none. */
  readonly presentedBy?: (file: string, entry: ClientClusterConfig) => readonly Buffer[] | undefined;
  /** Gets to a cluster that an entry of a configuration file says the way to. */
  readonly reach?: (file: string, entry: ClientClusterConfig) => Promise<ReachedCluster>;
}

/** HSMs of this machine listen there: an address of it is no remnant of a file for CloudHSM. */
const LOOPBACK = '127.';

/** The engine's own cluster that an entry of a configuration means, if it does. */
function ownCluster(
  entry: ClientClusterConfig,
  { clusters, addressesOf = () => [] }: Pick<EngineOffer, 'clusters' | 'addressesOf'>,
  isOnlyEntry: boolean,
): ClusterView | undefined {
  const { cluster_id: id, servers = [] } = entry;
  if (id !== undefined) return clusters.find(({ settings }) => settings.id === id);
  // "cluster_id probably absent after -a" (reference 2.2): then the addresses say it.
  const hosts = servers.map(({ hostname }) => hostname);
  const listening = clusters.find((cluster) => addressesOf(cluster).some((host) => hosts.includes(host)));
  if (listening !== undefined) return listening;
  // Those of a file that was made for CloudHSM lead nowhere: then there must be no choice.
  const leadsElsewhere = hosts.some((host) => host.startsWith(LOOPBACK));
  const isForUs = hosts.length === 0 || (isOnlyEntry && !leadsElsewhere);
  return clusters.length === 1 && isForUs ? clusters[0] : undefined;
}

/** The entries of a configuration that are about clusters elsewhere, by their places, and say the way there. */
export function entriesElsewhere(
  offer: Pick<EngineOffer, 'clusters' | 'addressesOf'>,
  found: ClientConfigFile | undefined,
): ReadonlyMap<number, ClientClusterConfig> {
  const entries = found?.config.clusters ?? [];
  const elsewhere = entries.flatMap(({ cluster }, index): [number, ClientClusterConfig][] => {
    const hasWay = cluster.servers?.some(({ enable }) => enable !== false) === true;
    return hasWay && ownCluster(cluster, offer, entries.length === 1) === undefined ? [[index, cluster]] : [];
  });
  return new Map(elsewhere);
}

/**
 * The slots of an application: "one slot per configured cluster" (reference 2.3), in the order of its configuration;
 * without one, or where it says nothing of clusters, all clusters of the engine. `reached` has what entries elsewhere led to.
 * Throws BAD_CONFIGURATION for clusters that the engine does not have and that were not reached.
 */
export function slotsFor(
  offer: Omit<EngineOffer, 'readiness'>,
  found: ClientConfigFile | undefined,
  reached: ReadonlyMap<number, ClusterView> = new Map(),
): Slot[] {
  const { clusters } = offer;
  const entries = found?.config.clusters;
  if (found === undefined || entries === undefined) {
    return clusters.map((cluster, index) => slotOf(offer, index, cluster, undefined));
  }
  if (entries.length === 0) throw unusableConfig(found.file, 'clusters: there is none');
  const slots = entries.map(({ cluster: entry }, index) => {
    const unusable = (field: string, why: string): Error =>
      unusableConfig(found.file, `clusters[${index}].cluster.${field}: ${why}`);
    const there = reached.get(index);
    const cluster =
      there === undefined
        ? clusterOf(entry, offer, entries.length === 1, unusable)
        : requireId(there, entry, clusters, unusable);
    const isDisabled = disabledHsms(entry, cluster, unusable);
    const presented = offer.presentedBy?.(found.file, entry);
    return { ...slotOf(offer, index, cluster, entry), presented, isDisabled };
  });
  if (new Set(slots.map(({ cluster }) => cluster.settings.id)).size < slots.length) {
    throw unusableConfig(found.file, 'clusters: two of them are the same cluster');
  }
  return slots;
}

function slotOf(
  { profile, keyAvailabilityCheck }: Omit<EngineOffer, 'readiness'>,
  index: number,
  cluster: ClusterView,
  entry: ClientClusterConfig | undefined,
): Slot {
  const options = libraryOptions(entry);
  const stated = options.keyAvailabilityCheck ?? keyAvailabilityCheck;
  return { index, cluster, profile, options, keyAvailability: keyAvailability(stated, cluster.hsms.length) };
}

/**
 * THE switch for the key availability check (reference 14.1): the application's, else the engine's, else it is on as with
 * CloudHSM. Where there is but one HSM, nobody could use a token key then: the profile decides.
 */
function keyAvailability(stated: boolean | undefined, hsms: number): Slot['keyAvailability'] {
  if (stated !== undefined) return stated ? 'required' : 'off';
  return hsms < 2 ? 'profile' : 'required';
}

function clusterOf(
  entry: ClientClusterConfig,
  offer: Pick<EngineOffer, 'clusters' | 'addressesOf'>,
  isOnlyEntry: boolean,
  unusable: Unusable,
): ClusterView {
  const id = entry.cluster_id;
  const { clusters } = offer;
  const found = ownCluster(entry, offer, isOnlyEntry);
  if (found !== undefined) return found;
  const present = clusters.map(({ settings }) => settings.id).join(', ');
  const given = id === undefined ? 'is missing' : `${JSON.stringify(id)} is not here`;
  throw unusable('cluster_id', `${given}; the engine has ${present}`);
}

/** What was reached is the cluster that was meant. The engine's own HSMs are nearer by than their addresses say. */
function requireId(
  there: ClusterView,
  { cluster_id: id }: ClientClusterConfig,
  clusters: readonly ClusterView[],
  unusable: Unusable,
): ClusterView {
  const { id: actual } = there.settings;
  if (id !== undefined && id !== actual)
    throw unusable('servers', `they are HSMs of ${actual}, not of ${id}`);
  return clusters.find(({ settings }) => settings.id === actual) ?? there;
}

/**
 * HSMs that the application does not connect to: those whose id or address is the hostname of a server with `enable` false. Other
 * hostnames name nobody here. As the real library learns of further HSMs from those it reaches, HSMs that are not listed are used.
 */
function disabledHsms(
  entry: ClientClusterConfig,
  cluster: ClusterView,
  unusable: Unusable,
): (hsm: NamedHsm) => boolean {
  const servers = entry.servers ?? [];
  const disabled = new Set(servers.filter(({ enable }) => enable === false).map(({ hostname }) => hostname));
  const isDisabled = ({ settings: { id, host } }: NamedHsm): boolean =>
    disabled.has(id) || (host !== undefined && disabled.has(host));
  const allDisabled = servers.length > 0 && servers.every(({ enable }) => enable === false);
  if (!allDisabled && !cluster.hsms.every(isDisabled)) return isDisabled;
  throw unusable('servers', 'no server is enabled');
}
