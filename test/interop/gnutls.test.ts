import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { modulePath, type Ran, run, TestEngine } from '../support/engine.js';

const token = 'pkcs11:token=hsm1';

const keys = [
  { name: 'rsa-2048', id: '1001', type: ['rsa', '--bits=2048'], listed: 'RSA-2048', signer: 'RSA' },
  { name: 'rsa-3072', id: '1002', type: ['rsa', '--bits=3072'], listed: 'RSA-3072', signer: 'RSA' },
  {
    name: 'secp224r1',
    id: '1003',
    type: ['ecdsa', '--curve=secp224r1'],
    listed: 'EC/ECDSA-SECP224R1',
    signer: 'ECDSA',
  },
  {
    name: 'secp256r1',
    id: '1004',
    type: ['ecdsa', '--curve=secp256r1'],
    listed: 'EC/ECDSA-SECP256R1',
    signer: 'ECDSA',
  },
  {
    name: 'secp384r1',
    id: '1005',
    type: ['ecdsa', '--curve=secp384r1'],
    listed: 'EC/ECDSA-SECP384R1',
    signer: 'ECDSA',
  },
  {
    name: 'secp521r1',
    id: '1006',
    type: ['ecdsa', '--curve=secp521r1'],
    listed: 'EC/ECDSA-SECP521R1',
    signer: 'ECDSA',
  },
] as const;

/** The objects of a listing, each as its text. */
function objectsOf({ stdout }: Ran): string[] {
  return stdout.split(/^Object \d+:$/m).slice(1);
}

describe("GnuTLS's p11tool", function () {
  this.timeout(180_000);

  let engine: TestEngine;
  let folder: string;

  /** Runs one of GnuTLS's tools, with the PIN where it looks for one. */
  const gnutls = (command: string, words: readonly string[], pin = engine.pin) =>
    engine.run(command, [`--provider=${modulePath}`, ...words], { cwd: folder, env: { GNUTLS_PIN: pin } });
  const p11tool = (...words: string[]) => gnutls('p11tool', ['--batch', ...words]);

  async function succeed(running: Promise<Ran>): Promise<Ran> {
    const ran = await running;
    expect(ran.code, `${ran.stdout}${ran.stderr}`).to.equal(0);
    return ran;
  }

  const hsm = (...words: string[]) => succeed(p11tool('--login', ...words));
  const openssl = (...words: string[]) => succeed(run('openssl', words, { cwd: folder }));

  const listing = async (...words: string[]) => objectsOf(await hsm('--list-all', ...words, token));

  before(async function () {
    needsClient(this, 'p11tool', 'gnutls-bin');
    needsClient(this, 'openssl', 'openssl');
    folder = mkdtempSync(join(tmpdir(), 'chl-gnutls-'));
    engine = await TestEngine.start();
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  describe('on a new token', () => {
    it('lists the token', async () => {
      const { stdout } = await succeed(p11tool('--list-tokens'));
      expect(stdout).to.contain('token=hsm1');
      expect(stdout).to.contain('Requires login');
      expect(stdout).not.to.contain('Uninitialized');
    });

    it('lists the mechanisms', async () => {
      const { stdout } = await succeed(p11tool('--list-mechanisms', token));
      for (const row of [
        'CKM_RSA_PKCS_KEY_PAIR_GEN keysize range (2048, 4096) hw generate_key_pair',
        'CKM_RSA_PKCS_PSS keysize range (2048, 4096) hw sign verify',
        'CKM_ECDSA keysize range (224, 521) hw sign verify ec_f_p ec_namedcurve ec_uncompress',
        'CKM_AES_GCM keysize range (16, 32) hw encrypt decrypt',
      ]) {
        expect(stdout).to.contain(row);
      }
    });

    it('finds no object', async () => {
      const ran = await p11tool('--list-all', '--login', token);
      expect(`${ran.stdout}${ran.stderr}`).to.contain('No matching objects found');
    });

    it('logs in with the PIN of --set-pin', async () => {
      const ran = await gnutls('p11tool', ['--login', '--list-all', `--set-pin=${engine.pin}`, token], '');
      expect(`${ran.stdout}${ran.stderr}`).to.contain('No matching objects found');
    });

    it('does not try a wrong PIN twice', async () => {
      const { code, stderr } = await gnutls('p11tool', ['--login', '--list-all', token], 'crypto_user:wrong');
      expect(code).not.to.equal(0);
      expect(stderr).to.contain('wrong password');
      expect(engine.log.match(/C_Login failed, returning 0x000000a0/g)).to.have.length(1);
    });

    it('gives random bytes', async () => {
      const ran = await hsm('--generate-random=64', '--outfile=random', token);
      expect(ran.code).to.equal(0);
      expect(readFileSync(join(folder, 'random'))).to.have.length(64);
    });

    it('is refused to initialise it, which is done elsewhere in CloudHSM', async () => {
      const { code, stderr } = await p11tool(
        '--initialize',
        '--label=x',
        '--set-so-pin=admin:password',
        token,
      );
      expect(code).not.to.equal(0);
      expect(stderr).to.contain('unsupported feature');
    });
  });

  for (const { name, id, type, listed, signer } of keys) {
    describe(`a key pair ${name}`, () => {
      const privateKey = `${token};object=${name};type=private`;
      const [algorithm, size] = type;

      it('is generated, and gives the public key in PEM', async () => {
        await hsm(
          ...[`--generate-privkey=${algorithm}`, size, `--label=${name}`, `--id=${id}`],
          ...[`--outfile=${name}.pem`, token],
        );
        await openssl('pkey', '-pubin', '-in', `${name}.pem`, '-noout');
      });

      it('is listed with its type', async () => {
        const objects = (await listing()).filter((text) => text.includes(`Label: ${name}\n`));
        expect(objects).to.have.length(2);
        for (const kind of ['Public', 'Private']) {
          expect(objects.find((text) => text.includes(`Type: ${kind} key (${listed})\n`))).not.to.equal(
            undefined,
          );
        }
      });

      it('is a secret only in its private half', async () => {
        const objects = (await listing()).filter((text) => text.includes(`Label: ${name}\n`));
        for (const text of objects) {
          const isPrivate = text.includes('type=private');
          // "SENSITIVE: .Y.Y" (reference, section 11.1): public keys have no such attribute.
          expect(/^\tFlags: .*CKA_SENSITIVE/m.test(text), text).to.equal(isPrivate);
        }
      });

      it('exports its public key from the private one', async () => {
        await hsm('--export-pubkey', `--outfile=${name}.exported`, privateKey);
        const pem = await openssl('pkey', '-pubin', '-in', `${name}.exported`);
        expect(pem.stdout).to.equal((await openssl('pkey', '-pubin', '-in', `${name}.pem`)).stdout);
      });

      for (const hash of ['SHA256', 'SHA384', 'SHA512']) {
        it(`passes --test-sign with ${hash}`, async () => {
          const { stderr, stdout } = await hsm('--test-sign', `--hash=${hash}`, privateKey);
          const said = `${stdout}${stderr}`;
          expect(said).to.contain(`Signing using ${signer}-${hash}... ok`);
          expect(said).to.contain('Verifying against private key parameters... ok');
          expect(said).to.contain('Verifying against public key in the token... ok');
        });
      }

      if (signer === 'RSA') {
        it('passes --test-sign with RSA-PSS', async () => {
          const { stderr, stdout } = await hsm('--test-sign', '--sign-params=RSA-PSS', privateKey);
          const said = `${stdout}${stderr}`;
          expect(said).to.contain('Signing using RSA-PSS-SHA256... ok');
          expect(said).to.contain('Verifying against public key in the token... ok');
        });
      }

      it('signs its own certificate with certtool, which openssl verifies', async () => {
        writeFileSync(join(folder, `${name}.template`), `cn = "${name}"\nexpiration_days = 2\nca\n`);
        await succeed(
          gnutls('certtool', [
            ...['--generate-self-signed', `--load-privkey=${privateKey}`],
            `--load-pubkey=${token};object=${name};type=public`,
            ...[`--template=${name}.template`, `--outfile=${name}.crt`],
          ]),
        );
        const { stdout } = await openssl('verify', '-CAfile', `${name}.crt`, '-check_ss_sig', `${name}.crt`);
        expect(stdout).to.contain(`${name}.crt: OK`);
        const key = await openssl('x509', '-in', `${name}.crt`, '-noout', '-pubkey');
        expect(key.stdout).to.equal((await openssl('pkey', '-pubin', '-in', `${name}.pem`)).stdout);
      });

      it('keeps its certificate in the HSM, gives it back and deletes it', async () => {
        const certificate = `${token};object=${name};type=cert`;
        await hsm('--write', `--load-certificate=${name}.crt`, `--label=${name}`, `--id=${id}`, token);
        expect((await hsm('--list-certs', token)).stdout).to.contain(`Label: ${name}\n`);
        await hsm('--export', `--outfile=${name}.stored`, certificate);
        const stored = await openssl('x509', '-in', `${name}.stored`);
        expect(stored.stdout).to.equal((await openssl('x509', '-in', `${name}.crt`)).stdout);
        await hsm('--delete', certificate);
        expect((await listing()).some((text) => text.includes('type=cert'))).to.equal(false);
      });
    });
  }

  describe('an imported key pair', () => {
    const imported = [
      {
        name: 'imported-rsa',
        id: '1101',
        options: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
      },
      {
        name: 'imported-ec',
        id: '1102',
        options: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      },
    ];
    for (const { name, id, options } of imported) {
      it(`passes --test-sign and signs a certificate for the key: ${name}`, async () => {
        await openssl('genpkey', ...options, '-out', `${name}.key`);
        await openssl('pkey', '-in', `${name}.key`, '-pubout', '-out', `${name}.pem`);
        // GnuTLS looks for the public key of an EC key nowhere but in its public half.
        await hsm('--write', `--load-privkey=${name}.key`, `--label=${name}`, `--id=${id}`, token);
        await hsm('--write', `--load-pubkey=${name}.pem`, `--label=${name}`, `--id=${id}`, token);
        const privateKey = `${token};object=${name};type=private`;
        const { stderr, stdout } = await hsm('--test-sign', privateKey);
        expect(`${stdout}${stderr}`).to.contain('Verifying against public key in the token... ok');

        writeFileSync(join(folder, `${name}.template`), `cn = "${name}"\nexpiration_days = 2\nca\n`);
        await succeed(
          gnutls('certtool', [
            ...['--generate-self-signed', `--load-privkey=${privateKey}`, `--load-pubkey=${name}.pem`],
            ...[`--template=${name}.template`, `--outfile=${name}.crt`],
          ]),
        );
        await openssl('verify', '-CAfile', `${name}.crt`, '-check_ss_sig', `${name}.crt`);
      });
    }
  });

  describe('afterwards', () => {
    it('changes the id of a key, which CloudHSM does elsewhere', async () => {
      await hsm('--login', '--set-id=9999', `${token};object=secp256r1;type=private`);
      const changed = (await listing()).filter((text) => text.includes('ID: 99:99\n'));
      expect(changed).to.have.length(1);
    });

    it('deletes a key pair by its label', async () => {
      await hsm('--delete', `${token};object=secp256r1`);
      expect((await listing()).some((text) => text.includes('Label: secp256r1\n'))).to.equal(false);
    });

    it('shows nothing to somebody who has not logged in', async () => {
      const ran = await p11tool('--list-all-privkeys', token);
      expect(ran.stdout).not.to.contain('Object 0');
    });
  });
});
