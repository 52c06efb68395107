import { sign as signInNode } from 'node:crypto';
import { expect } from 'chai';
import { curves, expectRefused, Pkcs11Tool } from './tool.js';

describe('pkcs11-tool', function () {
  this.timeout(180_000);

  let tool: Pkcs11Tool;

  before(async function () {
    tool = await Pkcs11Tool.start(this);
  });

  after(() => tool?.stop());

  describe('imported objects', () => {
    before(async () => {
      await tool.openssl('genrsa', '-out', 'imported-rsa.pem', '2048');
      for (const { curve } of curves) {
        await tool.openssl('ecparam', '-genkey', '-noout', '-name', curve, '-out', `imported-${curve}.pem`);
      }
    });

    const importedKeys = [
      { name: 'rsa', id: '0400', mechanism: 'SHA256-RSA-PKCS', format: [] },
      ...curves.map(({ curve }, at) => ({
        name: curve,
        id: `041${at}`,
        mechanism: 'ECDSA-SHA256',
        format: ['--signature-format', 'openssl'],
      })),
    ];

    for (const { name, id, mechanism, format } of importedKeys) {
      const label = `imported-${name}`;

      it(`signs with the imported private key ${name} what openssl verifies`, async () => {
        await tool.openssl('pkey', '-in', `${label}.pem`, '-outform', 'DER', '-out', `${label}.der`);
        await tool.openssl(
          ...['pkey', '-in', `${label}.pem`, '-pubout', '-outform', 'DER', '-out', `${label}.pub`],
        );
        const options = ['--id', id, '--label', label, '--usage-sign'];
        await tool.hsm('--write-object', `${label}.der`, '--type', 'privkey', ...options);
        await tool.sign(mechanism, id, '-i', 'data', ...format);
        await tool.opensslVerify(`${label}.pub`, 'sha256');
      });

      it(`verifies with the imported public key ${name} what openssl signed`, async () => {
        const options = ['--id', id, '--label', label, '--usage-sign'];
        await tool.hsm('--write-object', `${label}.pub`, '--type', 'pubkey', ...options);
        await tool.openssl('dgst', '-sha256', '-sign', `${label}.pem`, '-out', 'signature', 'data');
        await tool.expectVerifiedByHsm(mechanism, id, ...format);
      });
    }

    it('verifies an EC signature whose halves lack their leading zeros, as Java hands them over', async () => {
      // "the signature may have a shorter length" (PKCS#11 v2.40 mechanisms, section 2.3.1).
      const key = { key: tool.read('imported-secp521r1.pem'), dsaEncoding: 'ieee-p1363' } as const;
      const half = 66;
      let signature: Buffer;
      do signature = signInNode('sha256', tool.read('data'), key);
      while (signature[0] !== 0 || signature[half] !== 0);
      tool.write('signature', Buffer.concat([signature.subarray(1, half), signature.subarray(half + 1)]));
      await tool.expectVerifiedByHsm('ECDSA-SHA256', '0414', '--signature-format', 'rs');
    });

    it('writes a certificate and reads it back', async () => {
      await tool.openssl(
        ...['req', '-new', '-x509', '-key', 'imported-rsa.pem', '-subj', '/CN=stored', '-days', '1'],
        ...['-outform', 'DER', '-out', 'certificate.der'],
      );
      await tool.hsm(
        ...['--write-object', 'certificate.der', '--type', 'cert', '--id', '0400', '--label', 'stored'],
      );
      const stored = await tool.objectsNamed('stored');
      expect(stored.join('\n')).to.match(/Certificate Object.*\n[\s\S]*CN=stored/);
      await tool.hsm('--read-object', '--type', 'cert', '--id', '0400', '-o', 'read.der');
      expect(tool.read('read.der').equals(tool.read('certificate.der'))).to.equal(true);
    });

    it('is refused a data object, which CloudHSM does not store', async () => {
      // Reference, section 11.2, last row.
      const writing = tool.runAsUser('--write-object', 'short', '--type', 'data', '--label', 'data-object');
      await expectRefused(writing, 'CKR_TEMPLATE_INCONSISTENT');
    });

    it('deletes each kind of object, and only it', async () => {
      await tool.generateEcKey('prime256v1', '0500', 'deleted');
      await tool.hsm('--keygen', '--key-type', 'AES:32', '--id', '0500', '--label', 'deleted');
      await tool.hsm(
        ...['--write-object', 'certificate.der', '--type', 'cert', '--id', '0500', '--label', 'deleted'],
      );
      const kinds = { privkey: 'Private', pubkey: 'Public', secrkey: 'Secret', cert: 'Certificate' };
      const left = new Set(Object.values(kinds));
      for (const [type, kind] of Object.entries(kinds)) {
        await tool.hsm('--delete-object', '--type', type, '--id', '0500');
        left.delete(kind);
        const listed = (await tool.objectsNamed('deleted')).map((text) => text.split(' ')[0]);
        expect(new Set(listed)).to.deep.equal(left);
      }
      const signing = tool.runAsUser('--sign', '-m', 'ECDSA', '--id', '0500', '-i', 'short');
      expect((await signing).code).not.to.equal(0);
    });
  });
});
