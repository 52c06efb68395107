import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { curves, expectRefused, hashes, Pkcs11Tool } from './tool.js';

describe('pkcs11-tool', function () {
  this.timeout(180_000);

  let tool: Pkcs11Tool;

  before(async function () {
    tool = await Pkcs11Tool.start(this);
  });

  after(() => tool?.stop());

  for (const [at, bits] of [2048, 3072, 4096].entries()) {
    describe(`an RSA key pair of ${bits} bits`, () => {
      const id = `010${at}`;
      const label = `rsa-${bits}`;
      const key = `${label}.pub`;

      it('is generated in the HSM', async () => {
        const { stdout } = await tool.generateRsaKey(bits, id, label);
        expect(stdout).to.contain('Private Key Object; RSA');
        expect(stdout).to.contain(`Public Key Object; RSA ${bits} bits`);
        expect(stdout).to.match(/Access: +sensitive, always sensitive, extractable, local/);
      });

      it('gives its public half to OpenSSL', async () => {
        const { stdout } = await tool.openssl(
          ...['pkey', '-pubin', '-inform', 'DER', '-in', key, '-noout', '-text'],
        );
        expect(stdout).to.contain(`Public-Key: (${bits} bit)`);
      });

      it('signs a short message with RSA-PKCS that openssl recovers', async () => {
        await tool.sign('RSA-PKCS', id, '-i', 'short');
        await tool.openssl(
          ...['pkeyutl', '-verifyrecover', '-pubin', '-keyform', 'DER', '-inkey', key],
          ...['-in', 'signature', '-out', 'recovered'],
        );
        expect(tool.read('recovered').equals(tool.read('short'))).to.equal(true);
      });

      it('signs a block with RSA-X-509 that openssl recovers', async () => {
        tool.write('block', Buffer.concat([Buffer.from([0]), randomBytes(bits / 8 - 1)]));
        await tool.sign('RSA-X-509', id, '-i', 'block');
        await tool.openssl(
          ...['pkeyutl', '-verifyrecover', '-pubin', '-keyform', 'DER', '-inkey', key],
          ...['-pkeyopt', 'rsa_padding_mode:none', '-in', 'signature', '-out', 'recovered'],
        );
        expect(tool.read('recovered').equals(tool.read('block'))).to.equal(true);
      });

      // Each hash with one size of key, and each size with one hash.
      const tried = hashes.filter(({ hash }) => bits === 2048 || hash === 'SHA256');
      for (const { hash, mechanism, openssl: opensslHash, saltBytes } of tried) {
        it(`signs a file with ${hash}-RSA-PKCS that openssl and the HSM verify`, async () => {
          await tool.sign(`${hash}-RSA-PKCS`, id, '-i', 'data');
          await tool.opensslVerify(key, opensslHash);
          await tool.expectVerifiedByHsm(`${hash}-RSA-PKCS`, id);
        });

        const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', `rsa_mgf1_md:${opensslHash}`];

        it(`signs a file with ${hash}-RSA-PKCS-PSS that openssl and the HSM verify`, async () => {
          await tool.sign(`${hash}-RSA-PKCS-PSS`, id, '-i', 'data');
          await tool.opensslVerify(key, opensslHash, ...pss, '-sigopt', `rsa_pss_saltlen:${saltBytes}`);
          await tool.expectVerifiedByHsm(`${hash}-RSA-PKCS-PSS`, id);
        });

        it(`signs a ${hash} hash with RSA-PKCS-PSS and a salt of 8 bytes that openssl verifies`, async () => {
          tool.write('hash', createHash(opensslHash).update(tool.read('data')).digest());
          await tool.sign('RSA-PKCS-PSS', id, '--hash-algorithm', mechanism, '--salt-len', '8', '-i', 'hash');
          await tool.opensslVerify(key, opensslHash, ...pss, '-sigopt', 'rsa_pss_saltlen:8');
        });

        it(`decrypts with RSA-PKCS-OAEP and ${hash} what openssl encrypted`, async () => {
          await tool.openssl(
            ...['pkeyutl', '-encrypt', '-pubin', '-keyform', 'DER', '-inkey', key, '-in', 'short'],
            ...['-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', `rsa_oaep_md:${opensslHash}`],
            ...['-out', 'encrypted'],
          );
          await tool.hsm(
            ...['--decrypt', '-m', 'RSA-PKCS-OAEP', '--hash-algorithm', mechanism, '--id', id],
            ...['-i', 'encrypted', '-o', 'decrypted'],
          );
          expect(tool.read('decrypted').equals(tool.read('short'))).to.equal(true);
        });
      }

      it('does no RSA-PKCS decryption, which a FIPS cluster refuses', async () => {
        // Reference, section 9.2.
        tool.write('encrypted', randomBytes(bits / 8));
        const decrypting = tool.runAsUser(
          ...['--decrypt', '-m', 'RSA-PKCS', '--id', id, '-i', 'encrypted', '-o', 'decrypted'],
        );
        await expectRefused(decrypting, 'CKR_MECHANISM_INVALID');
      });
    });
  }

  for (const [at, { curve, fieldBytes, readable }] of curves.entries()) {
    describe(`an EC key pair on ${curve}`, () => {
      const id = `020${at}`;
      const label = `ec-${curve}`;
      const key = `${label}.pub`;

      it('is generated in the HSM', async () => {
        const { stdout } = await tool.generateEcKey(curve, id, label);
        expect(stdout).to.contain('Private Key Object; EC');
        expect(stdout).to.contain('Public Key Object; EC');
        expect(stdout).to.match(/Access: +sensitive, always sensitive, extractable, local/);
      });

      it('gives its public half to OpenSSL', async () => {
        const { stdout } = await tool.openssl(
          ...['pkey', '-pubin', '-inform', 'DER', '-in', key, '-noout', '-text'],
        );
        expect(stdout).to.contain(`ASN1 OID: ${curve}`);
        if (readable) {
          await tool.hsm('--read-object', '--type', 'pubkey', '--id', id, '-o', 'read.pub');
          expect(tool.read('read.pub').equals(tool.read(key))).to.equal(true);
        }
      });

      for (const { hash, openssl: opensslHash } of hashes) {
        it(`signs a file with ECDSA-${hash} that openssl and the HSM verify`, async () => {
          await tool.sign(`ECDSA-${hash}`, id, '-i', 'data', '--signature-format', 'openssl');
          await tool.opensslVerify(key, opensslHash);
          await tool.expectVerifiedByHsm(`ECDSA-${hash}`, id, '--signature-format', 'openssl');
        });

        it(`signs a ${hash} hash with ECDSA that openssl verifies`, async () => {
          tool.write('hash', createHash(opensslHash).update(tool.read('data')).digest());
          await tool.sign('ECDSA', id, '-i', 'hash', '--signature-format', 'sequence');
          await tool.opensslVerify(key, opensslHash);
        });
      }

      it('gives a raw signature of twice the length of the field', async () => {
        await tool.sign('ECDSA-SHA256', id, '-i', 'data', '--signature-format', 'rs');
        expect(tool.read('signature')).to.have.length(2 * fieldBytes);
        await tool.expectVerifiedByHsm('ECDSA-SHA256', id, '--signature-format', 'rs');
      });
    });
  }
});
