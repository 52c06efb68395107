import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort } from '../interop/support/server.js';
import { projectRoot } from '../support/engine.js';
import { followsTutorial, type TutorialOptions } from '../support/tutorial.js';

const openssl = ['openssl', 'openssl'] as const;
const aws = ['aws', 'awscli'] as const;

/** A server whose tutorial failed half way goes on otherwise. */
function endServer(pidFile: string): void {
  if (existsSync(pidFile)) process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
}

/** THE row per page of docs/tutorials. */
const tutorials: Readonly<Record<string, TutorialOptions>> = {
  'getting-started-with-cloudhsm-cli.md': { needs: [openssl, aws] },
  'users-and-keys-with-sdk3-tools.md': { needs: [openssl, aws] },
  'clone-a-cluster.md': { needs: [openssl, aws, ['pkcs11-tool', 'opensc']] },
  'tls-offload.md': {
    needs: [openssl, ['nginx', 'nginx-light'], ['apache2', 'apache2-bin'], ['curl', 'curl']],
    instead: async () => ({ 8443: String(await freePort()), 9443: String(await freePort()) }),
    tidyUp: (folder) => {
      for (const pidFile of ['nginx/nginx.pid', 'apache/apache.pid']) endServer(join(folder, pidFile));
    },
  },
};

describe('tutorials', () => {
  it('are all followed', () => {
    expect(readdirSync(join(projectRoot, 'docs', 'tutorials')).sort()).to.deep.equal(
      Object.keys(tutorials).sort(),
    );
  });

  for (const [page, options] of Object.entries(tutorials)) {
    describe(page, () => followsTutorial(page, options));
  }
});
