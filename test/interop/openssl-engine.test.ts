import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { handleOfPem, referencePem } from '../../src/tools/reference-pem.js';
import { needsClient } from '../support/clients.js';
import { modulePath, type Ran, run, TestEngine } from '../support/engine.js';
import { expectSuccess, plain } from './support/openssl.js';
import { freePort, Server } from './support/server.js';

const engineFile = join(modulePath, '..', 'libcloudhsm_openssl_engine.so');

/** CKA_EC_PARAMS of the curves that CloudHSM's engine signs with (reference management-tools, section 9.1). */
const curves = [
  { name: 'P-256', parameters: '06082a8648ce3d030107', orderBytes: 32 },
  { name: 'P-384', parameters: '06052b81040022', orderBytes: 48 },
  { name: 'secp256k1', parameters: '06052b8104000a', orderBytes: 32 },
] as const;

describe("CloudHSM's OpenSSL engine", () => {
  let engine: TestEngine;
  let folder: string;

  const file = (name: string): string => join(folder, name);
  const openssl = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
    run('openssl', words, { env: { ...engine.env, OPENSSL_ENGINES: folder, ...env } });
  const withEngine = (
    [command, ...words]: readonly [string, ...string[]],
    env?: NodeJS.ProcessEnv,
  ): Promise<Ran> => openssl([command, '-engine', 'cloudhsm', ...words], env);

  before(async function () {
    needsClient(this, 'openssl', 'openssl');
    needsClient(this, 'curl', 'curl');
    folder = mkdtempSync(join(tmpdir(), 'chl-engine-'));
    // As the documents do it: a link in OpenSSL's folder of engines.
    symlinkSync(engineFile, file('cloudhsm.so'));
    writeFileSync(file('data'), 'to be signed');
    engine = await TestEngine.start();
    expectSuccess(await withEngine(['genrsa', '-traditional', '-out', file('rsa.key'), '2048']));
    writeKeysOnCurves();
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** EC key pairs in the HSM, and the files that refer to them. */
  function writeKeysOnCurves(): void {
    engine.useInThisProcess();
    const p11 = new pkcs11js.PKCS11();
    p11.load(modulePath);
    p11.C_Initialize();
    const session = p11.C_OpenSession(p11.C_GetSlotList(true)[0]!, 6);
    p11.C_Login(session, pkcs11js.CKU_USER, engine.pin);
    for (const { name, parameters, orderBytes } of curves) {
      const { publicKey, privateKey } = p11.C_GenerateKeyPair(
        session,
        { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
        [
          { type: pkcs11js.CKA_TOKEN, value: true },
          { type: pkcs11js.CKA_EC_PARAMS, value: Buffer.from(parameters, 'hex') },
        ],
        [
          { type: pkcs11js.CKA_TOKEN, value: true },
          { type: pkcs11js.CKA_SIGN, value: true },
        ],
      );
      const [point] = p11.C_GetAttributeValue(session, publicKey, [{ type: pkcs11js.CKA_EC_POINT }]);
      const half = { type: 'EC', parameters: Buffer.from(parameters, 'hex'), orderBytes } as const;
      const handle = Number(privateKey.readBigUInt64LE());
      writeFileSync(file(`${name}.key`), referencePem(handle, { ...half, point: point!.value as Buffer }));
    }
    p11.C_Finalize();
  }

  it('is listed as it is on AWS', async () => {
    const { stdout } = expectSuccess(await openssl(['engine', '-t', 'cloudhsm']));
    expect(stdout).to.equal('(cloudhsm) CloudHSM OpenSSL Engine\n     [ available ]\n');
  });

  it('makes RSA keys in the HSM: the file only refers to one', async () => {
    for (const form of [['-traditional'], []]) {
      const { stdout } = expectSuccess(await openssl(['rsa', '-in', file('rsa.key'), ...form]));
      expect(handleOfPem(stdout)).to.be.a('number');
    }
  });

  for (const key of ['rsa', ...curves.map(({ name }) => name)]) {
    it(`signs requests and certificates with a key in the HSM: ${key}`, async () => {
      const [csr, crt] = [file(`${key}.csr`), file(`${key}.crt`)];
      const keyFile = file(`${key}.key`);
      expectSuccess(
        await withEngine(['req', '-new', '-key', keyFile, '-subj', '/CN=localhost', '-out', csr]),
      );
      const verified = expectSuccess(await plain('openssl', ['req', '-in', csr, '-verify', '-noout']));
      expect(verified.stderr).to.contain('verify OK');
      const words = ['-req', '-days', '30', '-in', csr, '-signkey', keyFile, '-out', crt] as const;
      expectSuccess(await withEngine(['x509', ...words]));
      expectSuccess(await plain('openssl', ['verify', '-CAfile', crt, crt]));
    });

    for (const hash of ['sha1', 'sha256', 'sha384', 'sha512']) {
      it(`makes signatures that others verify: ${key}, ${hash}`, async () => {
        const [publicKey, signature] = [file('public.pem'), file('signature')];
        const keyFile = file(`${key}.key`);
        const pss = ['-sigopt', 'rsa_padding_mode:pss'];
        expectSuccess(await plain('openssl', ['pkey', '-in', keyFile, '-pubout', '-out', publicKey]));
        for (const padding of key === 'rsa' ? [[], pss] : [[]]) {
          const words = [`-${hash}`, ...padding, '-sign', keyFile, '-out', signature, file('data')];
          expectSuccess(await withEngine(['dgst', ...words]));
          const check = [
            'dgst',
            `-${hash}`,
            ...padding,
            '-verify',
            publicKey,
            '-signature',
            signature,
            file('data'),
          ];
          expectSuccess(await plain('openssl', check));
        }
      });
    }
  }

  it('leaves keys that are in their file to OpenSSL', async () => {
    const [keyFile, publicKey, signature] = [file('software.key'), file('software.pub'), file('signature')];
    for (const make of [
      ['genrsa', '-out', keyFile, '2048'],
      ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', keyFile],
    ]) {
      expectSuccess(await plain('openssl', make));
      expectSuccess(await plain('openssl', ['pkey', '-in', keyFile, '-pubout', '-out', publicKey]));
      // Without a PIN: the HSM is not asked.
      const none = { CLOUDHSM_PIN: '' };
      expectSuccess(
        await withEngine(['dgst', '-sha256', '-sign', keyFile, '-out', signature, file('data')], none),
      );
      expectSuccess(
        await plain('openssl', [
          'dgst',
          '-sha256',
          '-verify',
          publicKey,
          '-signature',
          signature,
          file('data'),
        ]),
      );
    }
  });

  it('takes the PIN of SDK 3 too, and says what is missing without one', async () => {
    const words = [
      'dgst',
      '-sha256',
      '-sign',
      file('rsa.key'),
      '-out',
      file('signature'),
      file('data'),
    ] as const;
    expectSuccess(await withEngine(words, { CLOUDHSM_PIN: '', n3fips_password: engine.pin }));
    const { code, stderr } = await withEngine(words, { CLOUDHSM_PIN: '', n3fips_password: '' });
    expect(code).not.to.equal(0);
    expect(stderr).to.contain('CLOUDHSM_PIN is not set');
  });

  it('only signs with a key in the HSM: nothing else comes of a reference', async () => {
    const publicKey = file('peer.pem');
    expectSuccess(await plain('openssl', ['pkey', '-in', file('P-256.key'), '-pubout', '-out', publicKey]));
    const agreed = await withEngine([
      'pkeyutl',
      '-derive',
      '-inkey',
      file('P-256.key'),
      '-peerkey',
      publicKey,
    ]);
    expect(agreed.code).not.to.equal(0);
    expect(agreed.stderr).to.contain('this engine only signs with it');
    writeFileSync(file('ciphertext'), Buffer.alloc(256, 1));
    const decrypted = await withEngine([
      'pkeyutl',
      '-decrypt',
      '-inkey',
      file('rsa.key'),
      '-in',
      file('ciphertext'),
    ]);
    expect(decrypted.code).not.to.equal(0);
    expect(decrypted.stderr).to.contain('this engine only signs with it');
  });

  it('signs again, in the same process, when the engine of the HSMs was started again', async () => {
    const certificate = file('rsa.crt');
    const port = String(await freePort());
    const words = [
      's_server',
      '-engine',
      'cloudhsm',
      '-accept',
      port,
      '-cert',
      certificate,
      '-key',
      file('rsa.key'),
      '-www',
    ];
    const server = new Server('openssl', words, { ...engine.env, OPENSSL_ENGINES: folder });
    const fetch = (): Promise<Ran> =>
      plain('curl', [
        '-sS',
        '--retry-connrefused',
        '--retry',
        '5',
        '--cacert',
        certificate,
        `https://localhost:${port}/`,
      ]);
    try {
      expectSuccess(await fetch());
      await engine.kill();
      await engine.restart();
      expectSuccess(await fetch());
    } finally {
      await server.stop();
    }
  });

  it('says which call failed where no engine is to be reached', async () => {
    const words = [
      'dgst',
      '-sha256',
      '-sign',
      file('rsa.key'),
      '-out',
      file('signature'),
      file('data'),
    ] as const;
    const { code, stderr } = await withEngine(words, { CLOUDHSM_LOCAL_SOCKET: file('nobody.sock') });
    expect(code).not.to.equal(0);
    expect(stderr).to.match(/a PKCS#11 call failed:.*C_Initialize: 0x6$/m);
  });
});
