import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needsClient } from '../support/clients.js';
import { binary, cloudhsmLocal, projectRoot } from '../support/engine.js';
import { followsTutorial } from '../support/tutorial.js';

describe('the tutorial about the tools of Client SDK 3', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chl-sdk3-'));
  const home = join(folder, 'home');

  followsTutorial('users-and-keys-with-sdk3-tools.md', async (test) => {
    needsClient(test, 'openssl', 'openssl');
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
    // What `npx cloudhsm-local` runs in a checkout.
    writeFileSync(join(folder, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${binary}" "$@"\n`, {
      mode: 0o755,
    });
    const path = `${folder}:${process.env['PATH']}`;
    return { cwd: folder, env: { ...process.env, PATH: path, CLOUDHSM_LOCAL_HOME: home } };
  });

  after(async () => {
    await cloudhsmLocal(['down', '--home', home]);
    rmSync(folder, { recursive: true, force: true });
  });
});
