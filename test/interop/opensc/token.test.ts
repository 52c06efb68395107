import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { hashes, objectsOf, Pkcs11Tool, succeed } from './tool.js';

describe('pkcs11-tool', function () {
  this.timeout(180_000);

  let tool: Pkcs11Tool;

  before(async function () {
    tool = await Pkcs11Tool.start(this);
  });

  after(() => tool?.stop());

  describe('looking at the token', () => {
    it('lists the slot and the token of CloudHSM', async () => {
      const { stdout } = await succeed(tool.run('-L'));
      // Slot id and token label: reference, section 4.
      expect(stdout).to.contain('Slot 0 (0x2000000000000001)');
      expect(stdout).to.match(/token label +: hsm1\n/);
      expect(stdout).to.match(/token flags +: login required, rng, token initialized/);
    });

    it('shows the library and its version', async () => {
      const { stdout } = await succeed(tool.run('-I'));
      expect(stdout).to.contain('Cryptoki version 2.40');
      expect(stdout).to.contain('AWS CloudHSM PKCS#11');
    });

    it('lists the mechanisms without a login', async () => {
      const { stdout } = await succeed(tool.run('-M'));
      for (const row of [
        'RSA-PKCS-KEY-PAIR-GEN, keySize={2048,4096}, hw, generate_key_pair',
        'RSA-PKCS-OAEP, keySize={2048,4096}, hw, encrypt, decrypt',
        'SHA256-RSA-PKCS-PSS, keySize={2048,4096}, hw, sign, verify',
        'ECDSA-KEY-PAIR-GEN, keySize={224,521}, hw, generate_key_pair',
        'ECDSA-SHA384, keySize={224,521}, hw, sign, verify',
        'AES-CBC-PAD, keySize={16,32}, hw, encrypt, decrypt',
        'AES-GCM, keySize={16,32}, hw, encrypt, decrypt',
        'SHA512-HMAC, keySize={1,800}, hw, sign, verify',
        'SHA256, digest',
      ]) {
        expect(stdout).to.contain(row);
      }
    });

    it('shows keys only to a crypto user who has logged in', async () => {
      await tool.generateEcKey('prime256v1', '0001', 'listed');
      expect(objectsOf(await succeed(tool.run('-O'))).join('\n')).not.to.contain('listed');
      const listed = (await tool.objectsNamed('listed')).map((text) => text.split(';')[0]).sort();
      expect(listed).to.deep.equal(['Private Key Object', 'Public Key Object']);
    });

    it('gives random bytes', async () => {
      for (const name of ['random-1', 'random-2']) await tool.hsm('--generate-random', '100', '-o', name);
      expect(tool.read('random-1')).to.have.length(100);
      expect(tool.read('random-1').equals(tool.read('random-2'))).to.equal(false);
    });

    for (const { mechanism, openssl: hash } of hashes) {
      it(`hashes a file with ${mechanism}`, async () => {
        await succeed(tool.run('--hash', '-m', mechanism, '-i', 'data', '-o', 'hash'));
        expect(tool.read('hash').equals(createHash(hash).update(tool.read('data')).digest())).to.equal(true);
      });
    }
  });

  describe("its own tests of a module's behaviour", () => {
    before(async () => {
      await tool.generateRsaKey(2048, '0002', 'tested-rsa');
      await tool.generateEcKey('secp384r1', '0003', 'tested-ec');
    });

    it('passes --test', async () => {
      const { stdout, stderr } = await tool.hsm('--test');
      expect(stdout).to.contain('No errors');
      for (const mechanism of ['RSA-X-509', 'RSA-PKCS', 'SHA1-RSA-PKCS', 'SHA256-RSA-PKCS']) {
        expect(stdout).to.contain(`    ${mechanism}: OK`);
      }
      expect(`${stdout}${stderr}`).not.to.contain('ERR');
    });

    it('passes --test-ec, with the refusal to change keys as CloudHSM refuses it', async () => {
      const { stdout } = await tool.hsm(
        ...['--session-rw', '--test-ec', '--key-type', 'EC:prime256v1', '--id', '0004', '--label', 'test-ec'],
      );
      expect(stdout).to.contain('==> OK');
      expect(await tool.objectsNamed('test-ec')).to.deep.equal([]);
    });

    it('passes --test-fork: the child of a logged-in process initialises the module for itself', async () => {
      const { stdout, stderr } = await tool.hsm('--test-fork');
      expect(stdout).to.contain('Calling C_Initialize in forked child process');
      expect(stderr).not.to.contain('error');
    });

    it('passes --test-threads: of all threads that initialise, one does', async () => {
      // IL: C_Initialize with OS locking, GI: C_GetInfo, SL: C_GetSlotList, T0: C_GetTokenInfo.
      const threads = ['--test-threads', 'ILGISLT0'];
      const { stdout, stderr } = await succeed(tool.run(...Array.from({ length: 8 }, () => threads).flat()));
      const said = `${stdout}${stderr}`;
      expect(said.match(/C_Initialize\S* +(returned |rv:)CKR_OK|\(NULL\) rv:CKR_OK/g)).to.have.length(1);
      expect(said.match(/rv:CKR_CRYPTOKI_ALREADY|returned CKR_CRYPTOKI_ALREADY/g)).to.have.length.of.at.least(
        8,
      );
      expect(said).to.contain('all threads have ended');
      expect(said).not.to.contain('CKR_GENERAL_ERROR');
    });
  });
});
