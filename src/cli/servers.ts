import { commandFailure } from '../base/errors.js';
import { readForeignFile } from '../base/files.js';
import { limits } from '../base/limits.js';
import type { RemoteClusterOptions } from '../cluster/remote-cluster.js';
import { readDaemonConfig, readSdk5Clusters } from '../tools/connection/cluster-access.js';
import { readIdentity } from '../tools/connection/identity.js';
import { asConfiguration } from './network.js';

/** Which HSMs there are, who the client is, and on how many HSMs a key must be: everything but the log. */
export interface ServerList extends Omit<RemoteClusterOptions, 'log'> {
  readonly availabilityCheck: boolean;
}

/** The clusters that a client configuration names: cloudhsm-pkcs11.cfg or SDK 3's cloudhsm_client.cfg. Throws
 * BAD_CONFIGURATION. */
export function readServers(file: string): ServerList[] {
  return asConfiguration(() => (isDaemonConfig(file) ? [ofDaemon(file)] : ofLibrary(file)));
}

/** SDK 3 names one HSM, which tells of the others (tools reference, section 3.1). */
function isDaemonConfig(file: string): boolean {
  try {
    const contents = readForeignFile(file, limits.configurationBytes);
    return 'server' in JSON.parse(contents?.toString('utf8') ?? '');
  } catch {
    return false;
  }
}

function ofDaemon(file: string): ServerList {
  const { servers, identity, minimumNodes, availabilityCheck } = readDaemonConfig(file);
  return { servers, identity: readIdentity(identity), client: { minimumNodes }, availabilityCheck };
}

function ofLibrary(file: string): ServerList[] {
  return readSdk5Clusters(file).map(({ servers, identity, retries, availabilityCheck }) => {
    if (servers.length === 0)
      throw commandFailure('BAD_CONFIGURATION', `${file} names no server that is enabled`);
    return { servers, identity: readIdentity(identity), client: { retries }, availabilityCheck };
  });
}
