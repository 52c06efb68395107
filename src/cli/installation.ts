import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout or package this program runs from: dist/src/cli is three folders below it. */
const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The C module that programs load. */
export const modulePath = join(root, 'build', 'pkcs11', 'libcloudhsm_pkcs11.so');

/** Sample configurations of the clients. */
export const sampleFolder = join(root, 'conf');
