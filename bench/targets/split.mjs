import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../build.mjs';
import { run } from '../processes.mjs';

const binary = join(projectRoot, 'bin', 'cloudhsm-local.mjs');
const module = join(projectRoot, 'build', 'pkcs11', 'libcloudhsm_pkcs11.so');

/** Targets whose HSMs run in processes of their own, by name: so many HSMs behind mutual TLS. */
export const splitTargets = { 'split-1': 1, 'split-2': 2, 'split-3': 3 };

/** Runs until its end is asked for. */
async function start(words) {
  const child = spawn(process.execPath, [binary, ...words], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ready = await Promise.race([
    once(child, 'message').then(() => true),
    once(child, 'exit').then(() => false),
  ]);
  if (!ready) throw new Error(`cloudhsm-local ${words[0]} did not start`);
  return async () => {
    if (child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill();
    await gone;
  };
}

/** @returns {Promise<import('./target.mjs').Target>} */
export async function startSplit(name, folder) {
  const hsms = splitTargets[name];
  const home = join(folder, name);
  const clientHome = join(folder, `${name}-c`);
  const config = join(folder, `${name}.json`);
  mkdirSync(folder, { recursive: true });
  // Of one HSM, no key is on two.
  writeFileSync(config, JSON.stringify({ hsms, keyQuota: 1_000_000, keyAvailabilityCheck: hsms > 1 }));
  const options = ['--config', config];
  await run(process.execPath, [binary, 'init', '--home', home, ...options]);
  const ends = [];
  for (let ordinal = 1; ordinal <= hsms; ordinal++)
    ends.push(await start(['hsm', String(ordinal), '--home', home, ...options]));
  const servers = join(home, 'certificates', 'cloudhsm-pkcs11.cfg');
  ends.push(await start(['client', '--home', clientHome, '--servers', servers, ...options]));
  const { cryptoUser } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8'));
  return {
    name,
    title: `${hsms} HSM${hsms > 1 ? 's' : ''} over TLS`,
    module,
    env: {
      CLOUDHSM_LOCAL_SOCKET: join(clientHome, 'run', 'engine.sock'),
      BENCH_PIN: `${cryptoUser.name}:${cryptoUser.password}`,
    },
    maxTokenKeys: 3000,
    stop: async () => {
      for (const end of ends.reverse()) await end();
    },
  };
}
