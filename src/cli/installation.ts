import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout or package this program runs from: dist/src/cli is three folders below it, as the bundled programs are. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** As package.json says. */
export const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
};

/** The C module that programs load. */
export const modulePath = join(root, 'build', 'pkcs11', 'libcloudhsm_pkcs11.so');

/** The headers that programs for CloudHSM include, as in /opt/cloudhsm/include/pkcs11. */
export const headersFolder = join(root, 'build', 'pkcs11', 'include', 'pkcs11');

/** Sample configurations of the clients. */
export const sampleFolder = join(root, 'conf');
