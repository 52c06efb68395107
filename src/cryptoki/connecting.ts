import { libraryVersion } from './identity.js';
import type { LibraryLog } from './library-log.js';
import type { Slot } from './slot.js';

/** Where HSMs listen (reference section 1), of one that has no address. */
const HSM_PORT = 2223;
/** "Known module names: `cloudhsm_provider::hsm1::…`" (reference 14.4); what follows is a guess. */
const path = 'cloudhsm_provider::hsm1::connection';

/**
 * What the library says when it connects to the HSMs of a slot (reference 14.3 and 14.4). For an HSM without an
 * address its id stands.
 */
export function logConnecting(log: LibraryLog, { cluster, isDisabled }: Slot): void {
  if (!log.writes('info')) return;
  const hsms = cluster.hsms
    .filter((hsm) => isDisabled?.(hsm) !== true)
    .map(({ settings: { id, host = id, port = HSM_PORT } }) => ({
      address: `${host}:${port}`,
      text: `HSM { IP: ${host}, Port: ${port} }`,
    }));
  const { major, minor } = libraryVersion;
  const lines = hsms.flatMap(({ address, text }) => [
    `HSM ${address} is connecting`,
    `Initializing new connection: ${text}`,
    'Version handshake with server succeeded. Received version: ComponentVersion { major: 2, minor: 8 }',
    `Reporting sdk version Pkcs11:${major}.${minor}.0`,
  ]);
  log.write('info', path, [
    ...lines,
    `Current cluster version is 0; incoming cluster version is ${cluster.hsms.length}`,
    `HSMs to be added: {${hsms.map(({ text }) => text).join(', ')}}`,
  ]);
}
