import { join } from 'node:path';

/** Where CloudHSM's packages put everything; another place with CLOUDHSM_LOCAL_PREFIX, which the programs that
 * `cloudhsm-local install --prefix` puts there set. */
const PACKAGED = '/opt/cloudhsm';

export function prefixPath(...parts: readonly string[]): string {
  return join(process.env['CLOUDHSM_LOCAL_PREFIX'] ?? PACKAGED, ...parts);
}
