import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../processes.mjs';
import { firstFile, libraryFolders, program } from './target.mjs';

const PIN = 'bench-user-pin';
export const TOKEN_LABEL = 'cloudhsm-local-bench';

/** More takes SoftHSM minutes: every new key costs it about 10 ms, and every start reads all. */
const MAX_TOKEN_KEYS = 3000;

/** SoftHSM inside the application's process. @returns {Promise<import('./target.mjs').Target>} */
export async function startSoftHsm(folder) {
  const util = program('softhsm2-util', 'softhsm2');
  const module = firstFile(
    libraryFolders.flatMap((library) => [
      join(library, 'softhsm', 'libsofthsm2.so'),
      join(library, 'libsofthsm2.so'),
    ]),
    'libsofthsm2.so is not installed (Debian package libsofthsm2)',
  );
  const tokens = join(folder, 'softhsm-tokens');
  const config = join(folder, 'softhsm2.conf');
  mkdirSync(tokens);
  writeFileSync(config, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const env = { SOFTHSM2_CONF: config, BENCH_PIN: PIN };
  const pins = ['--so-pin', 'bench-so-pin', '--pin', PIN];
  await run(util, ['--init-token', '--free', '--label', TOKEN_LABEL, ...pins], { env });
  return {
    name: 'softhsm',
    title: 'SoftHSM in process',
    module,
    env,
    maxTokenKeys: MAX_TOKEN_KEYS,
    stop: async () => {},
  };
}
