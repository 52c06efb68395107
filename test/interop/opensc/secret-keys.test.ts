import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { hashes, Pkcs11Tool } from './tool.js';

describe('pkcs11-tool', function () {
  this.timeout(180_000);

  let tool: Pkcs11Tool;

  before(async function () {
    tool = await Pkcs11Tool.start(this);
  });

  after(() => tool?.stop());

  describe('secret keys', () => {
    const iv = '000102030405060708090a0b0c0d0e0f';
    const ciphers = [
      { mechanism: 'AES-ECB', openssl: 'ecb', options: [], input: 'blocks', padding: ['-nopad'] },
      { mechanism: 'AES-CBC', openssl: 'cbc', options: ['--iv', iv], input: 'blocks', padding: ['-nopad'] },
      { mechanism: 'AES-CBC-PAD', openssl: 'cbc', options: ['--iv', iv], input: 'short', padding: [] },
      { mechanism: 'AES-CBC-PAD', openssl: 'cbc', options: ['--iv', iv], input: 'blocks', padding: [] },
    ];

    for (const [at, bytes] of [16, 24, 32].entries()) {
      const imported = `030${at}`;
      const generated = `031${at}`;
      const crypt = (direction: 'encrypt' | 'decrypt', id: string, mechanism: string, ...words: string[]) =>
        tool.hsm(`--${direction}`, '-m', mechanism, '--id', id, ...words);

      it(`imports and generates AES keys of ${bytes} bytes`, async () => {
        tool.write(`aes-${bytes}`, randomBytes(bytes));
        await tool.hsm(
          ...['--write-object', `aes-${bytes}`, '--type', 'secrkey', '--key-type', `AES:${bytes}`],
          ...['--usage-decrypt', '--id', imported, '--label', `imported-aes-${bytes}`],
        );
        const { stdout } = await tool.hsm(
          ...['--keygen', '--key-type', `AES:${bytes}`, '--id', generated, '--label', `aes-${bytes}`],
        );
        expect(stdout).to.contain(`Secret Key Object; AES length ${bytes}`);
      });

      for (const { mechanism, openssl: mode, options, input, padding } of ciphers) {
        it(`encrypts and decrypts ${input} with ${mechanism} and ${bytes} bytes of key as openssl does`, async () => {
          const key = tool.read(`aes-${bytes}`).toString('hex');
          const cipher = [`-aes-${bytes * 8}-${mode}`, '-K', key, ...(mode === 'cbc' ? ['-iv', iv] : [])];
          await crypt('encrypt', imported, mechanism, ...options, '-i', input, '-o', 'encrypted');
          await tool.openssl('enc', '-d', ...cipher, ...padding, '-in', 'encrypted', '-out', 'decrypted');
          expect(tool.read('decrypted').equals(tool.read(input))).to.equal(true);

          await tool.openssl('enc', '-e', ...cipher, ...padding, '-in', input, '-out', 'encrypted');
          await crypt('decrypt', imported, mechanism, ...options, '-i', 'encrypted', '-o', 'decrypted');
          expect(tool.read('decrypted').equals(tool.read(input))).to.equal(true);
        });

        it(`decrypts ${input} with ${mechanism} and the generated key of ${bytes} bytes`, async () => {
          await crypt('encrypt', generated, mechanism, ...options, '-i', input, '-o', 'encrypted');
          expect(tool.read('encrypted').includes(tool.read(input))).to.equal(false);
          await crypt('decrypt', generated, mechanism, ...options, '-i', 'encrypted', '-o', 'decrypted');
          expect(tool.read('decrypted').equals(tool.read(input))).to.equal(true);
        });
      }
    }

    it('makes HMACs with an imported generic secret as openssl does', async () => {
      tool.write('generic', randomBytes(40));
      await tool.hsm(
        ...['--write-object', 'generic', '--type', 'secrkey', '--usage-sign'],
        ...['--id', '0320', '--label', 'imported-generic'],
      );
      const key = tool.read('generic').toString('hex');
      for (const { hash, openssl: opensslHash } of hashes) {
        await tool.sign(hash === 'SHA1' ? 'SHA-1-HMAC' : `${hash}-HMAC`, '0320', '-i', 'short');
        const { stdout } = await tool.openssl(
          ...['mac', '-digest', opensslHash, '-macopt', `hexkey:${key}`, '-in', 'short', 'HMAC'],
        );
        expect(tool.read('signature').toString('hex'), hash).to.equal(stdout.trim().toLowerCase());
      }
    });

    it('makes the same HMAC again with a generated generic secret', async () => {
      await tool.hsm('--keygen', '--key-type', 'GENERIC:32', '--id', '0321', '--label', 'generated-generic');
      await tool.sign('SHA256-HMAC', '0321', '-i', 'short');
      const first = tool.read('signature');
      await tool.sign('SHA256-HMAC', '0321', '-i', 'short');
      expect(tool.read('signature').equals(first)).to.equal(true);
      expect(first).to.have.length(32);
    });

    it('does not show the value of a key', async () => {
      const reading = tool.runAsUser('--read-object', '--type', 'secrkey', '--id', '0321', '-o', 'value');
      expect((await reading).code).not.to.equal(0);
    });
  });
});
