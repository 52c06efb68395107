import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { confFolder, modulePath, projectRoot, type Ran, run, TestEngine } from '../support/engine.js';

/** The sample that the README points to, as it stands. */
const configuration = join(confFolder, 'java-sunpkcs11.cfg');
const sources = join(projectRoot, 'test', 'interop', 'java');

/** Keys that pkcs11-tool makes, with a certificate each. */
const keys = [
  { alias: 'java-rsa', type: 'rsa:2048', id: '70', algorithm: 'RSA' },
  { alias: 'java-p256', type: 'EC:prime256v1', id: '71', algorithm: 'EC' },
  { alias: 'java-p384', type: 'EC:secp384r1', id: '72', algorithm: 'EC' },
  { alias: 'java-p521', type: 'EC:secp521r1', id: '73', algorithm: 'EC' },
] as const;

const hashes = [
  { java: 'SHA1', digest: 'SHA-1', openssl: 'sha1' },
  { java: 'SHA224', digest: 'SHA-224', openssl: 'sha224' },
  { java: 'SHA256', digest: 'SHA-256', openssl: 'sha256' },
  { java: 'SHA384', digest: 'SHA-384', openssl: 'sha384' },
  { java: 'SHA512', digest: 'SHA-512', openssl: 'sha512' },
] as const;

describe('Java with SunPKCS11', function () {
  this.timeout(180_000);

  let engine: TestEngine;
  let folder: string;

  const path = (name: string) => join(folder, name);
  const read = (name: string) => readFileSync(path(name));

  async function succeed(running: Promise<Ran>): Promise<Ran> {
    const ran = await running;
    expect(ran.code, `${ran.stdout}${ran.stderr}`).to.equal(0);
    return ran;
  }

  const openssl = (...words: string[]) => succeed(run('openssl', words, { cwd: folder }));

  /** Runs a program of test/interop/java and answers with the lines it prints. */
  async function java(program: string, ...words: string[]): Promise<string[]> {
    const options = ['-cp', folder, `-Dcloudhsm.module=${modulePath}`, `-Dhsm.config=${configuration}`];
    const { stdout } = await succeed(engine.run('java', [...options, program, ...words], { cwd: folder }));
    return stdout.trimEnd().split('\n');
  }

  /** Runs one of Java's own tools against the HSM. */
  const javaTool = (command: string, words: readonly string[]) =>
    engine.run(
      command,
      [
        ...[`-J-Dcloudhsm.module=${modulePath}`, '-keystore', 'NONE', '-storetype', 'PKCS11'],
        ...['-addprovider', 'SunPKCS11', '-providerArg', configuration, '-storepass', engine.pin, ...words],
      ],
      { cwd: folder },
    );

  const pkcs11Tool = (...words: string[]) =>
    succeed(
      engine.run('pkcs11-tool', ['--module', modulePath, '--login', '--pin', engine.pin, ...words], {
        cwd: folder,
      }),
    );

  const verify = (hash: string, key: string, signature: string, ...options: string[]) =>
    openssl('dgst', `-${hash}`, '-verify', key, '-signature', signature, ...options, 'data');

  before(async function () {
    needsClient(this, 'javac', 'default-jdk-headless');
    needsClient(this, 'pkcs11-tool', 'opensc');
    needsClient(this, 'certtool', 'gnutls-bin');
    needsClient(this, 'openssl', 'openssl');
    folder = mkdtempSync(join(tmpdir(), 'chl-java-'));
    const files = readdirSync(sources).filter((name) => name.endsWith('.java'));
    await succeed(run('javac', ['-Werror', '-Xlint:all', '-d', folder, ...files], { cwd: sources }));
    writeFileSync(path('data'), randomBytes(40_001));
    writeFileSync(path('blocks'), randomBytes(16 * 60));
    engine = await TestEngine.start();
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  describe('keys in a KeyStore', () => {
    before(async () => {
      for (const { alias, type, id } of keys) {
        await pkcs11Tool('--keypairgen', '--key-type', type, '--usage-sign', '--label', alias, '--id', id);
        writeFileSync(path('template'), `cn = "${alias}"\nexpiration_days = 2\nsigning_key\n`);
        await succeed(
          engine.run(
            'certtool',
            [
              ...[`--provider=${modulePath}`, '--generate-self-signed'],
              `--load-privkey=pkcs11:token=hsm1;object=${alias};type=private`,
              `--load-pubkey=pkcs11:token=hsm1;object=${alias};type=public`,
              ...['--template=template', `--outfile=${alias}.pem`],
            ],
            { cwd: folder, env: { GNUTLS_PIN: engine.pin } },
          ),
        );
        await openssl('x509', '-in', `${alias}.pem`, '-outform', 'DER', '-out', `${alias}.der`);
        await openssl('x509', '-in', `${alias}.pem`, '-noout', '-pubkey', '-out', `${alias}.pub`);
        // Java pairs a private key with the certificate of its CKA_ID, and calls both by the certificate's label.
        await pkcs11Tool('--write-object', `${alias}.der`, '--type', 'cert', '--label', alias, '--id', id);
      }
    });

    it('are listed with their certificates', async () => {
      const expected = keys.map(({ alias, algorithm }) => `${alias} ${algorithm} CN=${alias}`);
      expect((await java('ListKeys')).sort()).to.deep.equal([...expected].sort());
    });

    it('are listed by keytool', async () => {
      const { stdout } = await succeed(javaTool('keytool', ['-list']));
      expect(stdout).to.contain(`contains ${keys.length} entries`);
      for (const { alias } of keys) expect(stdout).to.contain(`${alias}, PrivateKeyEntry`);
    });

    for (const { alias, algorithm } of keys) {
      it(`sign what openssl and the HSM verify: ${alias}`, async () => {
        const suffix = algorithm === 'RSA' ? 'withRSA' : 'withECDSA';
        const algorithms = hashes.map((hash) => `${hash.java}${suffix}`);
        const said = await java('SignFile', alias, 'data', folder, ...algorithms);
        // The HSM's word: true for the data signed, false for other data.
        expect(said).to.deep.equal(algorithms.map((name) => `${name} true false`));
        for (const { java, openssl: hash } of hashes) {
          await verify(hash, `${alias}.pub`, `${alias}-${java}${suffix}.sig`);
        }
      });
    }

    it('sign with RSASSA-PSS what openssl and the HSM verify', async () => {
      const algorithms = hashes.filter(({ java }) => java !== 'SHA1').map(({ java }) => `RSASSA-PSS-${java}`);
      const said = await java('SignFile', 'java-rsa', 'data', folder, ...algorithms);
      expect(said).to.deep.equal(algorithms.map((name) => `${name} true false`));
      for (const { java, openssl: hash } of hashes.filter(({ openssl: name }) => name !== 'sha1')) {
        await verify(
          ...[hash, 'java-rsa.pub', `java-rsa-RSASSA-PSS-${java}.sig`],
          ...['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
        );
      }
    });

    for (const { alias } of keys) {
      it(`request a certificate through keytool, which openssl verifies: ${alias}`, async () => {
        await succeed(javaTool('keytool', ['-certreq', '-alias', alias, '-file', `${alias}.csr`]));
        const said = await openssl('req', '-in', `${alias}.csr`, '-verify', '-noout', '-subject');
        expect(`${said.stdout}${said.stderr}`).to.contain('verify OK').and.to.contain(`CN = ${alias}`);
      });

      it(`sign a JAR with jarsigner: ${alias}`, async () => {
        writeFileSync(path('inside.txt'), 'signed');
        const jar = `${alias}.jar`;
        await succeed(run('jar', ['--create', '--file', jar, 'inside.txt'], { cwd: folder }));
        await succeed(javaTool('jarsigner', [jar, alias]));
        const { stdout } = await succeed(run('jarsigner', ['-verify', '-verbose', jar], { cwd: folder }));
        expect(stdout).to.contain('jar verified.').and.to.contain(`Signed by "CN=${alias}"`);
      });
    }

    // keytool makes a session key and copies it: C_CopyObject, which CloudHSM itself does not have.
    it('are made and stored by keytool in the compatible profile, and sign', async () => {
      const names = ['-alias', 'made-by-keytool', '-dname', 'CN=keytool'];
      const words = ['-genkeypair', '-keyalg', 'EC', '-groupname', 'secp256r1', ...names];
      await succeed(javaTool('keytool', words));
      expect((await succeed(javaTool('keytool', ['-list']))).stdout).to.contain(
        'made-by-keytool, PrivateKeyEntry',
      );
      const request = await succeed(javaTool('keytool', ['-certreq', '-alias', 'made-by-keytool']));
      writeFileSync(join(folder, 'keytool.csr'), request.stdout);
      await openssl('req', '-in', 'keytool.csr', '-verify', '-noout');
    });

    it('go when keytool deletes their entry', async () => {
      await succeed(javaTool('keytool', ['-delete', '-alias', 'java-p521']));
      expect((await succeed(javaTool('keytool', ['-list']))).stdout).not.to.contain('java-p521');
      const { stdout } = await pkcs11Tool('-O');
      expect(stdout).not.to.match(/(Private Key|Certificate) Object[^\n]*\n +label: +java-p521\n/);
    });
  });

  describe('keys that KeyPairGenerator makes in the HSM', () => {
    const made = ['RSA-2048', 'RSA-3072', 'RSA-4096'].concat(
      ['secp224r1', 'secp256r1', 'secp256k1', 'secp384r1', 'secp521r1'].map((curve) => `EC-${curve}`),
    );
    for (const name of made) {
      it(`stay there and sign what openssl verifies: ${name}`, async () => {
        expect(await java('GenerateKeyPairs', 'data', folder, name)).to.deep.equal([`${name} true`]);
        await openssl('pkey', '-pubin', '-inform', 'DER', '-in', `${name}.der`, '-out', `${name}.pub`);
        await verify('sha256', `${name}.pub`, `${name}.sig`);
      });
    }
  });

  describe('encryption', () => {
    const iv = '000102030405060708090a0b0c0d0e0f';
    const ciphers = [
      { transformation: 'AES/CBC/PKCS5Padding', mode: 'cbc', input: 'data', options: ['-iv', iv] },
      { transformation: 'AES/CBC/NoPadding', mode: 'cbc', input: 'blocks', options: ['-iv', iv, '-nopad'] },
      { transformation: 'AES/CTR/NoPadding', mode: 'ctr', input: 'data', options: ['-iv', iv] },
      { transformation: 'AES/ECB/PKCS5Padding', mode: 'ecb', input: 'data', options: [] },
      { transformation: 'AES/ECB/NoPadding', mode: 'ecb', input: 'blocks', options: ['-nopad'] },
    ];
    for (const bytes of [16, 32]) {
      for (const { transformation, mode, input, options } of ciphers) {
        it(`${transformation} with ${bytes} bytes of key gives what openssl decrypts`, async () => {
          const key = randomBytes(bytes).toString('hex');
          const said = await java('Encrypt', input, folder, key, iv, transformation);
          expect(said).to.deep.equal([`${transformation} true`]);
          await openssl(
            ...['enc', '-d', `-aes-${bytes * 8}-${mode}`, '-K', key, ...options],
            ...['-in', `${transformation.replaceAll('/', '-')}.enc`, '-out', 'decrypted'],
          );
          expect(read('decrypted').equals(read(input))).to.equal(true);
        });
      }
    }

    for (const { name, iv: gcmIv } of [
      { name: "Java's own IV", iv: '-' },
      { name: 'an IV of 12 bytes', iv: iv.slice(0, 24) },
    ]) {
      it(`AES/GCM/NoPadding with ${name} decrypts what it encrypted`, async () => {
        const key = randomBytes(32).toString('hex');
        const said = await java('Encrypt', 'blocks', folder, key, gcmIv, 'AES/GCM/NoPadding');
        expect(said).to.deep.equal(['AES/GCM/NoPadding true']);
        expect(read('AES-GCM-NoPadding.enc')).to.have.length(read('blocks').length + 16);
      });
    }
  });

  describe('hashes, MACs and random bytes', () => {
    it('MessageDigest gives what Node gives', async () => {
      const expected = hashes.map(
        ({ digest, openssl: hash }) => `${digest} ${createHash(hash).update(read('data')).digest('hex')}`,
      );
      const said = await java('Authenticate', 'data', '00', ...hashes.map(({ digest }) => digest));
      expect(said).to.deep.equal(expected);
    });

    it('Mac gives what openssl gives', async () => {
      const key = randomBytes(32).toString('hex');
      const names = hashes.map(({ java }) => `Hmac${java}`);
      const said = await java('Authenticate', 'blocks', key, ...names);
      for (const [at, { openssl: hash }] of hashes.entries()) {
        const { stdout } = await openssl(
          ...['mac', '-digest', hash, '-macopt', `hexkey:${key}`, '-in', 'blocks', 'HMAC'],
        );
        expect(said[at]).to.equal(`${names[at]} ${stdout.trim().toLowerCase()}`);
      }
    });

    it('SecureRandom gives other bytes each time', async () => {
      const said = await java('Authenticate', 'data', '00', 'random', 'random');
      for (const line of said) expect(line).to.match(/^random [0-9a-f]{64}$/);
      expect(new Set(said)).to.have.property('size', 2);
    });
  });
});
