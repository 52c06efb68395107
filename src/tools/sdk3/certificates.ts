import { pem } from '../../base/pem.js';
import type { DeviceCertificates } from '../../hsm/device-certificates.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import { readNamedFile } from '../connection/identity.js';
import { refused } from '../failure.js';

/** What a certificate is read from. */
interface Sources {
  readonly connection: HsmConnection;
  /** The tool's own file of the customer's root, which the HSM's certificate chains to. */
  readonly trustAnchorFile: string;
}

interface CertificateType {
  readonly title: string;
  read(sources: Sources): string | Promise<string>;
}

const ofDevice =
  (name: keyof DeviceCertificates): CertificateType['read'] =>
  async ({ connection }) =>
    (await connection.send('getDeviceCertificates', undefined))[name];

/** THE row per certificate that `getCert` fetches (reference management-tools, section 4.2), by its number. */
const certificateTypes: Readonly<Record<number, CertificateType>> = {
  1: { title: "the manufacturer's root certificate", read: ofDevice('manufacturerRoot') },
  2: { title: "the manufacturer's hardware certificate", read: ofDevice('manufacturerHardware') },
  4: {
    title: "the customer's root certificate",
    read: ({ trustAnchorFile }) => readNamedFile(trustAnchorFile).toString('latin1'),
  },
  8: {
    title: "the cluster's certificate, signed by the customer's root",
    read: ({ connection: { certificate } }) => {
      if (certificate === undefined) throw refused('the HSM has shown no certificate');
      return pem('CERTIFICATE', certificate);
    },
  },
  16: { title: "the cluster's certificate, chained to the manufacturer's root", read: ofDevice('hsm') },
};

export const certificateNumbers: readonly number[] = Object.keys(certificateTypes).map(Number);

export const certificateHelp = Object.entries(certificateTypes)
  .map(([number, { title }]) => `${number} ${title}`)
  .join('; ');

/** A certificate in PEM. Throws REFUSED, and what the HSM throws. */
export async function certificateOf(type: number, sources: Sources): Promise<string> {
  const row = certificateTypes[type];
  if (row === undefined) throw refused(`a certificate type is one of ${certificateNumbers.join(', ')}`);
  return row.read(sources);
}
