import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { modulePath, type Ran, run, TestEngine } from '../support/engine.js';

const PASSWORD = 'of the PKCS #12 file';

/** What NSS keeps in the HSM: pairs that it makes there, and one that it brings along. */
const made = [
  { name: 'nss-rsa', key: ['-k', 'rsa', '-g', '2048'], serial: '5' },
  { name: 'nss-ec', key: ['-k', 'ec', '-q', 'secp256r1'], serial: '6' },
] as const;
const names = [...made.map(({ name }) => name), 'nss-imported'];

describe('NSS', function () {
  this.timeout(120_000);

  let engine: TestEngine;
  let folder: string;

  const path = (name: string): string => join(folder, name);

  async function succeed(running: Promise<Ran>): Promise<string> {
    const { code, stdout, stderr } = await running;
    expect(code, `${stdout}${stderr}`).to.equal(0);
    return stdout;
  }

  /** Runs one of its tools on its database, which knows our module. */
  const nss = (command: string, ...words: string[]): Promise<string> =>
    succeed(engine.run(command, ['-d', `sql:${folder}`, ...words]));
  const hsm = ['-h', 'hsm1', '-f'];
  const openssl = (...words: string[]): Promise<string> => succeed(run('openssl', words, { cwd: folder }));

  before(async function () {
    needsClient(this, 'modutil', 'libnss3-tools');
    needsClient(this, 'openssl', 'openssl');
    folder = mkdtempSync(join(tmpdir(), 'chl-nss-'));
    engine = await TestEngine.start();
    writeFileSync(path('pin'), engine.pin);
    writeFileSync(path('noise'), 'what NSS mixes into its own random numbers');
    await nss('certutil', '-N', '--empty-password');
    await succeed(
      engine.run('modutil', [
        '-dbdir',
        `sql:${folder}`,
        '-force',
        '-add',
        'cloudhsm',
        '-libfile',
        modulePath,
      ]),
    );
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('makes pairs and certificates in the HSM', async () => {
    for (const { name, key, serial } of made) {
      const certificate = ['-S', '-x', '-n', name, '-s', `CN=${name}`, '-t', 'C,C,C', '-m', serial];
      await nss('certutil', ...hsm, path('pin'), ...certificate, ...key, '-z', path('noise'));
    }
  });

  it('brings a key and its certificate along in a PKCS #12 file', async () => {
    const subject = ['-subj', '/CN=nss-imported', '-days', '2'];
    await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'k', '-out', 'c', ...subject);
    const contents = ['-inkey', 'k', '-in', 'c', '-name', 'nss-imported'];
    await openssl('pkcs12', '-export', ...contents, '-out', 'p12', '-passout', `pass:${PASSWORD}`);
    await nss('pk12util', '-h', 'hsm1', '-k', path('pin'), '-i', path('p12'), '-W', PASSWORD);
    await nss('certutil', '-M', ...hsm, path('pin'), '-n', 'hsm1:nss-imported', '-t', 'C,C,C');
  });

  it('lists keys and certificates', async () => {
    const keys = await nss('certutil', '-K', ...hsm, path('pin'));
    const certificates = await nss('certutil', '-L', ...hsm, path('pin'));
    for (const name of names) {
      expect(keys).to.contain(name);
      expect(certificates).to.match(new RegExp(`^hsm1:${name} .*u`, 'm'));
    }
  });

  for (const name of names) {
    it(`signs with ${name} a message that OpenSSL verifies`, async () => {
      writeFileSync(path('message'), 'pay 100 to Alice');
      const message = ['-i', path('message'), '-o', path('signed')];
      await nss('cmsutil', '-S', '-N', `hsm1:${name}`, '-f', path('pin'), ...message);
      const pem = await nss('certutil', '-L', ...hsm, path('pin'), '-n', `hsm1:${name}`, '-a');
      writeFileSync(path('certificate'), pem);
      const trusted = ['-certfile', 'certificate', '-CAfile', 'certificate', '-purpose', 'any'];
      const verified = openssl('cms', '-verify', '-inform', 'DER', '-binary', '-in', 'signed', ...trusted);
      expect(await verified).to.equal('pay 100 to Alice');
    });
  }

  it('deletes a key with its certificate', async () => {
    await nss('certutil', '-F', ...hsm, path('pin'), '-n', 'hsm1:nss-imported');
    expect(await nss('certutil', '-K', ...hsm, path('pin'))).not.to.contain('nss-imported');
  });
});
