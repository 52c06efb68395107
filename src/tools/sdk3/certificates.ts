import { pem } from '../../base/pem.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import { readNamedFile } from '../connection/identity.js';
import { refused } from '../failure.js';

/** THE row per certificate that `getCert` fetches (reference management-tools, section 4.2). */
const certificateTypes: Readonly<Record<number, string>> = {
  1: "the manufacturer's root certificate",
  2: "the manufacturer's hardware certificate",
  4: "the customer's root certificate",
  8: "the cluster's certificate, signed by the customer's root",
  16: "the cluster's certificate, chained to the manufacturer's root",
};

const CUSTOMER_ROOT = 4;
const CLUSTER = 8;

export const certificateNumbers: readonly number[] = Object.keys(certificateTypes).map(Number);

export const certificateHelp = Object.entries(certificateTypes)
  .map(([number, text]) => `${number} ${text}`)
  .join('; ');

/** A certificate in PEM: of the customer's root the tool's own trust anchor, which the HSM's certificate chains to. Throws REFUSED. */
export function certificateOf(type: number, connection: HsmConnection, trustAnchorFile: string): string {
  const text = certificateTypes[type];
  if (text === undefined) throw refused(`a certificate type is one of ${certificateNumbers.join(', ')}`);
  if (type === CUSTOMER_ROOT) return readNamedFile(trustAnchorFile).toString('latin1');
  if (type === CLUSTER && connection.certificate !== undefined)
    return pem('CERTIFICATE', connection.certificate);
  throw refused(`a simulated HSM does not have ${text}: describe-clusters shows the manufacturer's`);
}
