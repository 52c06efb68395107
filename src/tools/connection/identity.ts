import { readForeignFile } from '../../base/files.js';
import { limits } from '../../base/limits.js';
import type { TlsIdentity } from '../../cluster/tls.js';
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

/** Who a tool is to an HSM. Throws REFUSED, naming the file that is missing. */
export function readIdentity({ certificate, privateKey, trustAnchor }: IdentityFiles): TlsIdentity {
  const pem = (path: string): string => readNamedFile(path).toString('utf8');
  return { certificate: pem(certificate), privateKey: pem(privateKey), trustAnchor: pem(trustAnchor) };
}
