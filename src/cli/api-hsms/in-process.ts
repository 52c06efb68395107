import { openBackupKeys } from '../../backup/keys.js';
import type { Config } from '../../base/config.js';
import type { Log } from '../../base/log.js';
import type { Cluster } from '../../cluster/cluster.js';
import { LocalHsms, type LocalHsmsParts } from '../../control-plane/hosting/local-hsms.js';
import type { Roots } from '../../control-plane/identity/hardware.js';
import { mayStoreCertificates } from '../../objects/certificates.js';
import { hsmSettings, SYNCHRONISATION_MS } from '../cluster-home.js';
import type { Home } from '../home.js';
import { lockHsm } from '../listeners.js';
import { localStatus } from '../status.js';
import type { ApiHsms } from './api-hsms.js';

/** The home's HSMs of the API in this process. `parts` are what differs for a process that has one of them alone. */
export function openLocalHsms(
  home: Home,
  config: Config,
  roots: Roots,
  log: Log,
  parts: Pick<LocalHsmsParts, 'claim' | 'roster'>,
): LocalHsms {
  return new LocalHsms({
    directory: home.hsmsDirectory,
    failedDirectory: home.failedHsmsDirectory,
    settingsOf: ({ hsmId: id, ordinal, eniIp: host, hsmType, mode }) => {
      const certificateStorage = mayStoreCertificates(hsmType) ? config.certificateStorage : undefined;
      const shared = hsmSettings({ ...config, certificateStorage }, { hsmType, mode });
      return { ...shared, id, ordinal, host, port: config.hsmPorts[0]! };
    },
    backupKeys: openBackupKeys(home.backupKeyFiles, log),
    roots,
    ports: config.hsmPorts,
    synchronisationMs: SYNCHRONISATION_MS,
    log,
    ...parts,
  });
}

/** HSMs in the engine's process. */
export function inProcess(home: Home, config: Config, roots: Roots, log: Log): ApiHsms {
  const claimed = new Set<string>();
  const claim = (hsmId: string): void => {
    if (claimed.has(hsmId)) return;
    lockHsm(home, hsmId);
    claimed.add(hsmId);
  };
  const host = openLocalHsms(home, config, roots, log, { claim });
  const clusterOf = (id: string): Cluster | undefined =>
    host.clusters.find(({ settings }) => settings.id === id);
  return {
    host,
    get clusters() {
      return host.clusters;
    },
    get local() {
      return host.clusters;
    },
    processes: new Map(),
    addressesOf: ({ hsms }) => host.addressesOf(hsms),
    connect: async (id) => clusterOf(id)!.hsms[0]!.connect(),
    status: async ({ settings }) => localStatus(settings, clusterOf(settings.id)?.hsms ?? [], host.servers),
    settled: async () => undefined,
    close: () => host.close(),
  };
}
