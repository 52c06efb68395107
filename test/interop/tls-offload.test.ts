import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needsClient } from '../support/clients.js';
import { binary, cloudhsmLocal, projectRoot } from '../support/engine.js';
import { followsTutorial } from '../support/tutorial.js';
import { freePort } from './support/server.js';

/** A server whose tutorial failed half way goes on otherwise. */
function endServer(pidFile: string): void {
  if (existsSync(pidFile)) process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
}

describe('the tutorial about TLS offload', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chl-tls-'));
  const home = join(folder, 'home');

  followsTutorial('tls-offload.md', async (test) => {
    needsClient(test, 'nginx', 'nginx-light');
    needsClient(test, 'apache2', 'apache2-bin');
    needsClient(test, 'openssl', 'openssl');
    needsClient(test, 'curl', 'curl');
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
    // What `npx cloudhsm-local` runs in a checkout.
    writeFileSync(join(folder, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${binary}" "$@"\n`, {
      mode: 0o755,
    });
    const path = `${folder}:${process.env['PATH']}:/usr/sbin`;
    const instead = { 8443: String(await freePort()), 9443: String(await freePort()) };
    return { instead, cwd: folder, env: { ...process.env, PATH: path, CLOUDHSM_LOCAL_HOME: home } };
  });

  after(async () => {
    for (const pidFile of ['nginx/nginx.pid', 'apache/apache.pid']) endServer(join(folder, pidFile));
    await cloudhsmLocal(['down', '--home', home]);
    rmSync(folder, { recursive: true, force: true });
  });
});
