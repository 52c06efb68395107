import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { binary, cloudhsmLocal, TestEngine } from '../support/engine.js';
import {
  engineConfiguration,
  expectSuccess,
  fromEngine,
  generateKeyPair,
  hsmOpenssl,
  keyKinds,
  keyUri,
  opensslEnvironment,
  plain,
  selfSign,
  writePublicKey,
} from './support/openssl.js';
import { Server } from './support/server.js';

const hashes = ['sha256', 'sha384', 'sha512'];
const [rsa] = keyKinds;

describe('OpenSSL with the pkcs11 engine', () => {
  let engine: TestEngine;
  let folder: string;

  const file = (name: string): string => join(folder, name);

  before(async function () {
    needsClient(this, 'openssl', 'openssl');
    needsClient(this, 'pkcs11.so', 'libengine-pkcs11-openssl');
    needsClient(this, 'pkcs11-tool', 'opensc');
    needsClient(this, 'curl', 'curl');
    folder = mkdtempSync(join(tmpdir(), 'chl-openssl-'));
    writeFileSync(file('data'), randomBytes(40_000));
    writeFileSync(file('digest'), randomBytes(32));
    engine = await TestEngine.start();
    for (const kind of keyKinds) {
      await generateKeyPair(engine, kind);
      await selfSign(engine, kind, file(`${kind.label}.pem`));
      await writePublicKey(engine, kind, file(`${kind.label}.pub`));
    }
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  for (const kind of keyKinds) {
    describe(`and an HSM key, ${kind.name},`, () => {
      const certificate = (): string => file(`${kind.label}.pem`);
      const publicKey = (): string => file(`${kind.label}.pub`);
      const signature = (): string => file(`${kind.label}.signature`);
      const key = (): string => keyUri(engine, kind);

      it('writes its public key', async () => {
        const ran = expectSuccess(
          await plain('openssl', ['pkey', '-pubin', '-in', publicKey(), '-noout', '-text']),
        );
        expect(ran.stdout).to.contain(`Public-Key: ${kind.publicKey}`);
      });

      it('makes a self-signed certificate that OpenSSL alone verifies', async () => {
        const words = ['verify', '-check_ss_sig', '-verify_hostname', 'localhost', '-CAfile', certificate()];
        expectSuccess(await plain('openssl', [...words, certificate()]));
        const ran = expectSuccess(
          await plain('openssl', ['x509', '-in', certificate(), '-noout', '-pubkey']),
        );
        expect(ran.stdout).to.equal(readFileSync(publicKey(), 'utf8'));
      });

      it('makes a signing request that OpenSSL alone verifies', async () => {
        const request = file(`${kind.label}.csr`);
        const words = ['req', '-new', '-sha384', '-subj', '/CN=localhost', ...fromEngine, '-key', key()];
        expectSuccess(await hsmOpenssl(engine, [...words, '-out', request]));
        const ran = expectSuccess(
          await plain('openssl', ['req', '-in', request, '-verify', '-noout', '-pubkey']),
        );
        expect(ran.stdout).to.equal(readFileSync(publicKey(), 'utf8'));
      });

      const paddings = [
        { name: '', options: [] },
        ...(kind.family === 'RSA'
          ? [
              {
                name: ' and PSS with a salt as long as the hash',
                options: ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
              },
              {
                name: ' and PSS with the longest salt',
                options: ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:max'],
              },
            ]
          : []),
      ];
      for (const hash of hashes) {
        for (const { name, options } of paddings) {
          it(`signs a file with ${hash}${name}`, async () => {
            const digest = ['dgst', `-${hash}`, ...options];
            const sign = [...digest, ...fromEngine, '-sign', key(), '-out', signature(), file('data')];
            expectSuccess(await hsmOpenssl(engine, sign));
            const verify = [...digest, '-verify', publicKey(), '-signature', signature(), file('data')];
            expectSuccess(await plain('openssl', verify));
          });
        }
      }

      for (const options of [[], ['-pkeyopt', 'digest:sha256']]) {
        it(`signs 32 bytes as they are, ${options[1] ?? 'no digest named'}`, async () => {
          const sign = ['pkeyutl', '-sign', ...fromEngine, '-inkey', key(), ...options];
          expectSuccess(await hsmOpenssl(engine, [...sign, '-in', file('digest'), '-out', signature()]));
          const verify = ['pkeyutl', '-verify', '-pubin', '-inkey', publicKey(), ...options];
          expectSuccess(await plain('openssl', [...verify, '-in', file('digest'), '-sigfile', signature()]));
        });
      }

      describe('openssl s_server', () => {
        let server: Server;
        let port: string;

        before(async () => {
          const serve = ['s_server', '-accept', '127.0.0.1:0', '-www', '-cert', certificate()];
          const words = [...serve, ...fromEngine, '-key', key()];
          server = new Server('openssl', words, opensslEnvironment(engine));
          [port = ''] = await server.says(/^ACCEPT .*:(\d+)$/gm);
        });

        after(() => server?.stop());

        const connections = [
          { protocol: 'TLSv1.2', options: [], signature: kind.family === 'RSA' ? 'RSA-PSS' : 'ECDSA' },
          { protocol: 'TLSv1.3', options: [], signature: kind.family === 'RSA' ? 'RSA-PSS' : 'ECDSA' },
          ...(kind.family === 'RSA'
            ? [{ protocol: 'TLSv1.2', options: ['-sigalgs', 'RSA+SHA256'], signature: 'RSA' }]
            : []),
        ];
        for (const { protocol, options, signature } of connections) {
          it(`proves itself to openssl s_client over ${protocol} with ${signature}`, async () => {
            const trust = ['-CAfile', certificate(), '-verify_return_error', '-verify_hostname', 'localhost'];
            const version = protocol === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
            const words = ['-connect', `127.0.0.1:${port}`, version, ...options, ...trust, '-brief'];
            const ran = expectSuccess(await plain('openssl', ['s_client', ...words]));
            const said = ran.stderr.split('\n');
            expect(said).to.include(`Protocol version: ${protocol}`);
            expect(said).to.include(`Signature type: ${signature}`);
            expect(said).to.include('Verification: OK');
          });
        }

        for (const version of ['1.2', '1.3']) {
          it(`serves curl a page over TLS ${version}`, async () => {
            const only = [`--tlsv${version}`, '--tls-max', version, '--cacert', certificate()];
            const ran = expectSuccess(
              await plain('curl', ['-sS', ...only, '--max-time', '20', `https://localhost:${port}/`]),
            );
            expect(ran.stdout).to.match(new RegExp(`Protocol *: TLSv${version.replace('.', '\\.')}`));
          });
        }
      });
    });
  }

  for (const hash of ['sha1', 'sha256']) {
    it(`decrypts with OAEP and ${hash} what OpenSSL alone has encrypted`, async () => {
      const padding = ['-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', `rsa_oaep_md:${hash}`];
      const encrypt = ['-encrypt', '-pubin', '-inkey', file(`${rsa.label}.pub`), ...padding];
      const files = ['-in', file('digest'), '-out', file('encrypted')];
      expectSuccess(await plain('openssl', ['pkeyutl', ...encrypt, ...files]));
      const decrypt = ['-decrypt', ...fromEngine, '-inkey', keyUri(engine, rsa), ...padding];
      const back = ['-in', file('encrypted'), '-out', file('decrypted')];
      expectSuccess(await hsmOpenssl(engine, ['pkeyutl', ...decrypt, ...back]));
      expect(readFileSync(file('decrypted'))).to.deep.equal(readFileSync(file('digest')));
    });
  }

  it('says that the PIN is wrong, and takes the right one afterwards', async () => {
    const sign = (pin: string): string[] => {
      const words = ['dgst', '-sha256', ...fromEngine, '-sign', keyUri(engine, rsa, pin)];
      return [...words, '-out', file('signature'), file('data')];
    };
    const refused = await hsmOpenssl(engine, sign('crypto_user:not-the-password'));
    expect(refused.code).to.not.equal(0);
    expect(refused.stderr).to.contain('PIN incorrect');
    expect(engine.log).to.match(/C_Login failed, returning 0x000000a0/);
    expectSuccess(await hsmOpenssl(engine, sign(engine.pin)));
  });

  it('names the socket and the command that starts the engine where none runs', async () => {
    const socket = file('nobody.sock');
    const words = ['pkey', '-engine', 'pkcs11', '-inform', 'engine', '-in', keyUri(engine, rsa), '-pubout'];
    const ran = await hsmOpenssl(engine, words, { CLOUDHSM_LOCAL_SOCKET: socket });
    expect(ran.code).to.not.equal(0);
    expect(ran.stderr).to.contain(socket);
    expect(ran.stderr).to.contain('cloudhsm-local up');
  });

  it('does nothing to commands that use no key, with no engine running', async () => {
    const env = { CLOUDHSM_LOCAL_SOCKET: file('nobody.sock') };
    const ran = expectSuccess(await hsmOpenssl(engine, ['dgst', '-sha256', file('data')], env));
    expect(ran.stderr).to.equal('');
  });

  describe('OPENSSL_CONF in the environment of cloudhsm-local itself', () => {
    let home: string;

    beforeEach(() => {
      home = mkdtempSync(join(tmpdir(), 'chl-'));
    });

    afterEach(async () => {
      await cloudhsmLocal(['reset', '--home', home]);
    });

    /** A shell that has all the samples' variables set before the engine has ever run. */
    const environments = [
      { name: 'and our module named', module: (): NodeJS.ProcessEnv => engine.env },
      { name: 'and no module named', module: (): NodeJS.ProcessEnv => process.env },
    ];
    for (const { name, module } of environments) {
      const environment = (): NodeJS.ProcessEnv => {
        const { CLOUDHSM_LOCAL_SOCKET: _, CLOUDHSM_LOCAL_HOME: __, ...env } = module();
        return { ...env, OPENSSL_CONF: engineConfiguration, CLOUDHSM_LOCAL_HOME: home };
      };

      it(`does not keep \`up\` from starting, ${name}`, async () => {
        const up = new Server(process.execPath, [binary, 'up'], environment());
        try {
          await up.says(/CloudHSM is running/g);
          expectSuccess(await cloudhsmLocal(['status'], environment()));
          expectSuccess(await cloudhsmLocal(['down'], environment()));
          await up.ends();
          expect(up.exitCode, up.output).to.equal(0);
        } finally {
          await up.stop();
        }
      });

      it(`does not keep Ctrl-C from ending the engine, ${name}`, async () => {
        const up = new Server(process.execPath, [binary, 'up'], environment());
        await up.says(/CloudHSM is running/g);
        await up.stop('SIGINT');
        expect(up.exitCode, up.output).to.equal(0);
        expect((await cloudhsmLocal(['status'], environment())).code).to.not.equal(0);
      });

      it(`does not keep \`up --detach\` from starting, ${name}`, async () => {
        expectSuccess(await cloudhsmLocal(['up', '--detach'], environment()));
        expectSuccess(await cloudhsmLocal(['down'], environment()));
      });
    }
  });
});
