import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadConfig } from '../src/base/config.js';
import { needsClient } from './support/clients.js';
import { binary, confFolder, modulePath, projectRoot, type Ran, TestEngine } from './support/engine.js';

const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');

/** The code blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    (match) => match[1]!,
  );
}

/** Programs the examples call, with the Debian packages that bring them. */
const programs: readonly [string, string][] = [
  ['pkcs11-tool', 'opensc'],
  ['openssl', 'openssl'],
  ['pkcs11.so', 'libengine-pkcs11-openssl'],
  ['p11tool', 'gnutls-bin'],
];

describe('the README', () => {
  let engine: TestEngine;
  let folder: string;

  before(async function () {
    for (const [program, debianPackage] of programs) needsClient(this, program, debianPackage);
    engine = await TestEngine.start();
    folder = mkdtempSync(join(tmpdir(), 'chl-readme-'));
    cpSync(confFolder, join(folder, 'conf'), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
    // What `npx cloudhsm-local` runs in a checkout.
    writeFileSync(join(folder, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${binary}" "$@"\n`, {
      mode: 0o755,
    });
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const inFolder = (command: string, words: readonly string[]): Promise<Ran> =>
    engine.run(command, words, { cwd: folder, env: { PATH: `${folder}:${process.env['PATH']}` } });

  it('has examples that run as they are, in their order', async () => {
    const shell = blocks('sh');
    expect(shell.length).to.be.greaterThan(4);
    const scripts = blocks('js').map((block) => ({ block, name: /^\/\/ (\S+\.mjs)\n/.exec(block)![1]! }));
    for (const { block, name } of scripts) writeFileSync(join(folder, name), block);
    for (const block of shell.slice(0, -1)) {
      const { code, stdout, stderr } = await inFolder('bash', ['-euc', block]);
      expect(code, `${block}\n${stdout}\n${stderr}`).to.equal(0);
    }
    const signed = await inFolder('sh', ['-c', 'openssl x509 -in localhost.pem -noout -subject']);
    expect(signed.stdout).to.contain('CN = localhost');
    for (const { name } of scripts) {
      const { code, stdout, stderr } = await inFolder(process.execPath, [name]);
      expect(code, stderr).to.equal(0);
      expect(stdout.trim()).to.match(/^[0-9a-f]{128}$/);
    }
    const last = await inFolder('bash', ['-euc', shell.at(-1)!]);
    expect(last.stdout).to.contain('ACTIVE').and.to.contain('has ended');
  });

  /** What `npx cloudhsm-local` runs in a checkout, with an npm that has never run it and reaches no registry. */
  it('has commands that npx finds in the checkout, and builds nothing for', async () => {
    const cache = join(folder, 'npm-cache');
    const env = { npm_config_cache: cache, npm_config_offline: 'true' };
    const built = statSync(modulePath).ino;
    for (const words of [['cloudhsm-local'], ['--no-install', 'cloudhsm-local']]) {
      const { code, stdout, stderr } = await engine.run('npx', [...words, '--version'], {
        cwd: projectRoot,
        env,
      });
      expect(code, stderr).to.equal(0);
      expect(stdout.trim()).to.match(/^\d+\.\d+\.\d+$/);
    }
    expect(statSync(modulePath).ino).to.equal(built);
  });

  it('names files that exist', () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1]!);
    for (const link of links) expect(() => readFileSync(join(projectRoot, link)), link).not.to.throw();
  });

  it('has a sample configuration that is the default one', () => {
    const sample = loadConfig(join(confFolder, 'cloudhsm-local.json'), {});
    expect(sample.config).to.deep.equal(loadConfig(undefined, {}).config);
  });

  it('and env agree on where the module is', async () => {
    const { stdout } = await inFolder('npx', ['cloudhsm-local', 'env', '--home', engine.home]);
    expect(stdout).to.contain(`export PKCS11_MODULE_PATH='${modulePath}'`);
    expect(stdout).to.match(/^export CLOUDHSM_PKCS11_INCLUDE='.*\/include\/pkcs11'$/m);
  });
});

describe('npm start, as the README has it', function () {
  // It builds first, where something has changed since.
  this.timeout(300_000);
  let home: string;

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'chl-'));
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  it('runs the default cluster and prints the lines to paste, until Ctrl-C', async () => {
    const { OPENSSL_CONF: _, ...env } = process.env;
    // A process group of its own: Ctrl-C reaches npm and all that it has started.
    const npm = spawn('npm', ['start'], {
      cwd: projectRoot,
      env: { ...env, CLOUDHSM_LOCAL_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const gone = once(npm, 'close');
    let shown = '';
    const ready = new Promise<void>((resolve) => {
      for (const stream of [npm.stdout, npm.stderr])
        stream.on('data', (text) => {
          shown += text;
          if (shown.includes('End it with Ctrl-C')) resolve();
        });
    });
    const socket = join(home, 'run', 'engine.sock');
    try {
      await Promise.race([ready, gone]);
      expect(shown).to.contain('2 × hsm2m.medium, FIPS');
      for (const client of ['OpenSSL', 'nginx', 'Java', 'Node'])
        expect(shown).to.match(new RegExp(`^ *${client} `, 'm'));
      expect(existsSync(socket)).to.equal(true);
    } finally {
      if (npm.exitCode === null) process.kill(-npm.pid!, 'SIGINT');
    }
    await gone;
    expect(existsSync(socket)).to.equal(false);
  });
});
