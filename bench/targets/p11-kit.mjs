import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TOKEN_LABEL } from './softhsm.mjs';
import { firstFile, libraryFolders, Missing, program } from './target.mjs';

const START_MS = 5000;

/**
 * SoftHSM in a process of its own, as `p11-kit server` offers it: what one would use today to keep keys out of the
 * application. It serves the very token of SoftHSM in process.
 * @param {import('./target.mjs').Target | undefined} softhsm
 * @returns {Promise<import('./target.mjs').Target>}
 */
export async function startP11Kit(folder, softhsm) {
  if (softhsm === undefined) throw new Missing('it needs SoftHSM');
  const p11kit = program('p11-kit', 'p11-kit');
  const module = firstFile(
    libraryFolders.map((library) => join(library, 'pkcs11', 'p11-kit-client.so')),
    'p11-kit-client.so is not installed (Debian package p11-kit-modules)',
  );
  const socket = join(folder, 'p11-kit.sock');
  const words = [
    'server',
    '--foreground',
    '--provider',
    softhsm.module,
    '--name',
    socket,
    `pkcs11:token=${TOKEN_LABEL}`,
  ];
  const server = spawn(p11kit, words, { env: { ...process.env, ...softhsm.env }, stdio: 'ignore' });
  for (const deadline = Date.now() + START_MS; !existsSync(socket); await sleep(20)) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Missing('p11-kit server does not start');
  }
  return {
    name: 'p11-kit',
    title: 'SoftHSM behind p11-kit',
    module,
    env: { P11_KIT_SERVER_ADDRESS: `unix:path=${socket}`, BENCH_PIN: softhsm.env.BENCH_PIN },
    maxTokenKeys: softhsm.maxTokenKeys,
    sharesTokenOf: softhsm.name,
    // p11-kit 0.24 knows the parameters of a few RSA mechanisms only.
    excuse: (complaint) =>
      /Init answered CKR_MECHANISM_INVALID/.test(complaint)
        ? 'this p11-kit does not pass the parameters of the mechanism on'
        : undefined,
    stop: async () => {
      if (server.exitCode !== null) return;
      const gone = once(server, 'exit');
      server.kill();
      await gone;
    },
  };
}
