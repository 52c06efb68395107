import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { cloudhsmLocal } from '../../support/engine.js';
import { curves, objectsOf, Pkcs11Tool } from './tool.js';

describe('pkcs11-tool', function () {
  this.timeout(180_000);

  let tool: Pkcs11Tool;

  before(async function () {
    tool = await Pkcs11Tool.start(this);
  });

  after(() => tool?.stop());

  describe('an engine that is stopped and started', () => {
    // One of everything that an HSM keeps.
    before(async () => {
      for (const [at, bits] of [2048, 3072, 4096].entries()) {
        await tool.generateRsaKey(bits, `010${at}`, `rsa-${bits}`);
      }
      for (const [at, { curve }] of curves.entries()) {
        await tool.generateEcKey(curve, `020${at}`, `ec-${curve}`);
      }
      await tool.hsm('--keygen', '--key-type', 'AES:32', '--id', '0310', '--label', 'aes-32');
      await tool.hsm('--keygen', '--key-type', 'GENERIC:32', '--id', '0321', '--label', 'generic');
      await tool.openssl(
        ...['req', '-new', '-x509', '-newkey', 'rsa:2048', '-noenc', '-keyout', 'imported.pem'],
        ...['-subj', '/CN=stored', '-days', '1', '-outform', 'DER', '-out', 'certificate.der'],
      );
      await tool.openssl('pkey', '-in', 'imported.pem', '-outform', 'DER', '-out', 'imported.der');
      await tool.openssl('pkey', '-in', 'imported.pem', '-pubout', '-outform', 'DER', '-out', 'imported.pub');
      tool.write('imported-aes', randomBytes(16));
      for (const [type, file, ...options] of [
        ['privkey', 'imported.der', '--usage-sign'],
        ['pubkey', 'imported.pub', '--usage-sign'],
        ['cert', 'certificate.der'],
        ['secrkey', 'imported-aes', '--key-type', 'AES:16'],
      ] as const) {
        const named = ['--id', '0400', '--label', 'stored'];
        await tool.hsm('--write-object', file, '--type', type, ...named, ...options);
      }
    });

    it('has kept keys and certificates', async () => {
      await tool.sign('ECDSA-SHA256', '0200', '-i', 'data', '--signature-format', 'openssl');
      const before = objectsOf(await tool.hsm('-O')).sort();
      // Two halves of eight pairs, two generated secrets, four imported objects.
      expect(before).to.have.length(22);
      expect((await cloudhsmLocal(['down', '--home', tool.engine.home])).code).to.equal(0);
      const whileDown = await tool.runAsUser('-O');
      expect(whileDown.code).not.to.equal(0);
      expect(whileDown.stderr).to.contain(tool.engine.socket);

      await tool.engine.restart();
      expect(objectsOf(await tool.hsm('-O')).sort()).to.deep.equal(before);
      await tool.expectVerifiedByHsm('ECDSA-SHA256', '0200', '--signature-format', 'openssl');
      await tool.sign('SHA256-RSA-PKCS', '0100', '-i', 'data');
      await tool.opensslVerify('rsa-2048.pub', 'sha256');
    });
  });
});
