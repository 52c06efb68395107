import type { ClientClusterConfig } from '../../base/client-config.js';
import { readForeignFile } from '../../base/files.js';
import { limits } from '../../base/limits.js';
import { certificateBlocks } from '../../base/pem.js';
import type { TlsIdentity } from '../../cluster/tls.js';
import { certifiesKey, parseCertificate } from '../../crypto/index.js';
import { refused } from '../failure.js';

/** Reads a file that a configuration or a command line names. Throws REFUSED, naming the file. */
export function readNamedFile(path: string, maxBytes: number = limits.configurationBytes): Buffer {
  let contents: Buffer | undefined;
  try {
    contents = readForeignFile(path, maxBytes);
  } catch (error) {
    throw refused(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (contents === undefined) throw refused(`there is no file ${path}`);
  return contents;
}

export interface IdentityFiles {
  readonly certificate: string;
  readonly privateKey: string;
  readonly trustAnchor: string;
}

/** The text of a file with a certificate in it, as OpenSSL reads it: other text around is left alone. Throws REFUSED. */
function readCertificates(path: string): string {
  const text = readNamedFile(path).toString('utf8');
  if (!/^-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/m.test(text))
    throw refused(`${path} has no certificate in PEM`);
  return text;
}

/** Who a tool is to an HSM. Throws REFUSED, naming the file that is missing or something else. */
export function readIdentity(files: IdentityFiles): TlsIdentity {
  const certificate = readCertificates(files.certificate);
  const privateKey = readNamedFile(files.privateKey).toString('utf8');
  if (!certifiesKey(certificate, privateKey))
    throw refused(`${files.privateKey} is not the private key of ${files.certificate}`);
  return { certificate, privateKey, trustAnchor: readCertificates(files.trustAnchor) };
}

/**
 * The certificates, DER, that an entry of a configuration names for mutual TLS with HSMs, if it does: for applications that get to
 * HSMs in another way than TLS. Throws REFUSED for files that cannot be read, and for a key that is another certificate's.
 */
export function presentedBy({
  client_cert_hsm_tls_file: certificateFile,
  client_key_hsm_tls_file: keyFile,
}: ClientClusterConfig): readonly Buffer[] | undefined {
  if (certificateFile === undefined && keyFile === undefined) return undefined;
  if (certificateFile === undefined || keyFile === undefined)
    throw refused('client_cert_hsm_tls_file and client_key_hsm_tls_file go together');
  const blocks = certificateBlocks(readNamedFile(certificateFile).toString('utf8'));
  if (blocks === undefined) throw refused(`${certificateFile} is no file of certificates`);
  if (!certifiesKey(blocks[0]!, readNamedFile(keyFile).toString('utf8')))
    throw refused(`${keyFile} is not the private key of ${certificateFile}`);
  return blocks.map((block) => parseCertificate(block).der);
}
