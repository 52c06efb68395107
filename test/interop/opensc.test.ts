import { createHash, randomBytes, sign as signInNode } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { cloudhsmLocal, modulePath, type Ran, run, TestEngine } from '../support/engine.js';

/** Hashes as pkcs11-tool and as OpenSSL call them; `saltBytes` is what PSS takes by default: the hash's length. */
const hashes = [
  { hash: 'SHA1', mechanism: 'SHA-1', openssl: 'sha1', saltBytes: 20 },
  { hash: 'SHA224', mechanism: 'SHA224', openssl: 'sha224', saltBytes: 28 },
  { hash: 'SHA256', mechanism: 'SHA256', openssl: 'sha256', saltBytes: 32 },
  { hash: 'SHA384', mechanism: 'SHA384', openssl: 'sha384', saltBytes: 48 },
  { hash: 'SHA512', mechanism: 'SHA512', openssl: 'sha512', saltBytes: 64 },
] as const;

/** `fieldBytes` is half a raw signature; `readable`: OpenSC 0.23 cannot read P-384 public keys, SoftHSM's neither. */
const curves = [
  { curve: 'secp224r1', fieldBytes: 28, readable: true },
  { curve: 'prime256v1', fieldBytes: 32, readable: true },
  { curve: 'secp256k1', fieldBytes: 32, readable: true },
  { curve: 'secp384r1', fieldBytes: 48, readable: false },
  { curve: 'secp521r1', fieldBytes: 66, readable: true },
] as const;

/** id-ecPublicKey (RFC 5480, section 2.1.1), as DER. */
const ecPublicKeyOid = Buffer.from('06072a8648ce3d0201', 'hex');

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** A SubjectPublicKeyInfo out of the CKA_EC_PARAMS and the CKA_EC_POINT, an OCTET STRING, that a listing shows. */
function subjectPublicKeyInfo(parameters: Buffer, ecPoint: Buffer): Buffer {
  const point = ecPoint.subarray(ecPoint[1] === 0x81 ? 3 : 2);
  return der(0x30, der(0x30, ecPublicKeyOid, parameters), der(0x03, Buffer.from([0]), point));
}

/** The objects of a `pkcs11-tool -O`, each as its lines. */
function objectsOf({ stdout }: Ran): string[] {
  return stdout.split(/\n(?=\S)/).filter((text) => / Object[;, ]/.test(text));
}

describe('pkcs11-tool', function () {
  this.timeout(180_000);

  let engine: TestEngine;
  let folder: string;

  const path = (name: string) => join(folder, name);
  const write = (name: string, contents: Buffer) => writeFileSync(path(name), contents);
  const read = (name: string) => readFileSync(path(name));

  /** Runs pkcs11-tool in the test's folder, without a login. */
  const tool = (...words: string[]) =>
    engine.run('pkcs11-tool', ['--module', modulePath, ...words], { cwd: folder });
  const toolAs = (pin: string, ...words: string[]) => tool('--login', '--pin', pin, ...words);

  async function succeed(running: Promise<Ran>): Promise<Ran> {
    const ran = await running;
    expect(ran.code, `${ran.stdout}${ran.stderr}`).to.equal(0);
    return ran;
  }

  /** Runs pkcs11-tool as the crypto user, who must succeed. */
  const hsm = (...words: string[]) => succeed(toolAs(engine.pin, ...words));
  const openssl = (...words: string[]) => succeed(run('openssl', words, { cwd: folder }));

  async function expectRefused(running: Promise<Ran>, ckr: string): Promise<void> {
    const ran = await running;
    expect(ran.code).not.to.equal(0);
    expect(ran.stderr).to.contain(ckr);
  }

  const objectsNamed = async (label: string) =>
    objectsOf(await hsm('-O')).filter((text) => text.includes(`label:      ${label}\n`));

  /** Writes the listed public key to `<label>.pub`, for OpenSSL. */
  async function writeEcPublicKey(label: string): Promise<void> {
    const listed = (await objectsNamed(label)).find((text) => text.startsWith('Public Key'));
    const field = (name: string) =>
      Buffer.from(new RegExp(`${name}: +([0-9a-f]+)`).exec(listed ?? '')?.[1] ?? '', 'hex');
    write(`${label}.pub`, subjectPublicKeyInfo(field('EC_PARAMS'), field('EC_POINT')));
  }

  async function generateEcKey(curve: string, id: string, label: string): Promise<Ran> {
    const made = await hsm(
      ...['--keypairgen', '--key-type', `EC:${curve}`, '--usage-sign', '--id', id, '--label', label],
    );
    await writeEcPublicKey(label);
    return made;
  }

  /** Also writes the public key to `<label>.pub`, for OpenSSL. */
  async function generateRsaKey(bits: number, id: string, label: string): Promise<Ran> {
    const made = await hsm('--keypairgen', '--key-type', `rsa:${bits}`, '--id', id, '--label', label);
    await hsm('--read-object', '--type', 'pubkey', '--id', id, '-o', `${label}.pub`);
    return made;
  }

  const sign = (mechanism: string, id: string, ...words: string[]) =>
    hsm('--sign', '-m', mechanism, '--id', id, '-o', 'signature', ...words);

  const verify = (mechanism: string, id: string, input: string, ...words: string[]) =>
    toolAs(
      engine.pin,
      ...['--verify', '-m', mechanism, '--id', id, '-i', input, '--signature-file', 'signature', ...words],
    );

  /** The HSM itself must take the signature for the data and refuse it for other data. */
  async function expectVerifiedByHsm(mechanism: string, id: string, ...words: string[]): Promise<void> {
    expect((await succeed(verify(mechanism, id, 'data', ...words))).stdout).to.contain('Signature is valid');
    const other = await verify(mechanism, id, 'other-data', ...words);
    expect(other.stdout).to.contain('Invalid signature');
  }

  const opensslVerify = (key: string, hash: string, ...options: string[]) =>
    openssl(
      ...[
        'dgst',
        `-${hash}`,
        '-keyform',
        'DER',
        '-verify',
        key,
        '-signature',
        'signature',
        ...options,
        'data',
      ],
    );

  before(async function () {
    needsClient(this, 'pkcs11-tool', 'opensc');
    needsClient(this, 'openssl', 'openssl');
    folder = mkdtempSync(join(tmpdir(), 'chl-opensc-'));
    write('data', randomBytes(70_001));
    write('other-data', randomBytes(70_001));
    write('short', Buffer.from('a short message'));
    write('blocks', randomBytes(16 * 60));
    engine = await TestEngine.start();
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  describe('looking at the token', () => {
    it('lists the slot and the token of CloudHSM', async () => {
      const { stdout } = await succeed(tool('-L'));
      // Slot id and token label: reference, section 4.
      expect(stdout).to.contain('Slot 0 (0x2000000000000001)');
      expect(stdout).to.match(/token label +: hsm1\n/);
      expect(stdout).to.match(/token flags +: login required, rng, token initialized/);
    });

    it('shows the library and its version', async () => {
      const { stdout } = await succeed(tool('-I'));
      expect(stdout).to.contain('Cryptoki version 2.40');
      expect(stdout).to.contain('AWS CloudHSM PKCS#11');
    });

    it('lists the mechanisms without a login', async () => {
      const { stdout } = await succeed(tool('-M'));
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
      await generateEcKey('prime256v1', '0001', 'listed');
      expect(objectsOf(await succeed(tool('-O'))).join('\n')).not.to.contain('listed');
      const listed = (await objectsNamed('listed')).map((text) => text.split(';')[0]).sort();
      expect(listed).to.deep.equal(['Private Key Object', 'Public Key Object']);
    });

    it('gives random bytes', async () => {
      for (const name of ['random-1', 'random-2']) await hsm('--generate-random', '100', '-o', name);
      expect(read('random-1')).to.have.length(100);
      expect(read('random-1').equals(read('random-2'))).to.equal(false);
    });

    for (const { mechanism, openssl: hash } of hashes) {
      it(`hashes a file with ${mechanism}`, async () => {
        await succeed(tool('--hash', '-m', mechanism, '-i', 'data', '-o', 'hash'));
        expect(read('hash').equals(createHash(hash).update(read('data')).digest())).to.equal(true);
      });
    }
  });

  describe("its own tests of a module's behaviour", () => {
    before(async () => {
      await generateRsaKey(2048, '0002', 'tested-rsa');
      await generateEcKey('secp384r1', '0003', 'tested-ec');
    });

    it('passes --test', async () => {
      const { stdout, stderr } = await hsm('--test');
      expect(stdout).to.contain('No errors');
      for (const mechanism of ['RSA-X-509', 'RSA-PKCS', 'SHA1-RSA-PKCS', 'SHA256-RSA-PKCS']) {
        expect(stdout).to.contain(`    ${mechanism}: OK`);
      }
      expect(`${stdout}${stderr}`).not.to.contain('ERR');
    });

    it('passes --test-ec, with the refusal to change keys as CloudHSM refuses it', async () => {
      const { stdout } = await hsm(
        ...['--session-rw', '--test-ec', '--key-type', 'EC:prime256v1', '--id', '0004', '--label', 'test-ec'],
      );
      expect(stdout).to.contain('==> OK');
      expect(await objectsNamed('test-ec')).to.deep.equal([]);
    });

    it('passes --test-fork: the child of a logged-in process initialises the module for itself', async () => {
      const { stdout, stderr } = await hsm('--test-fork');
      expect(stdout).to.contain('Calling C_Initialize in forked child process');
      expect(stderr).not.to.contain('error');
    });

    it('passes --test-threads: of all threads that initialise, one does', async () => {
      // IL: C_Initialize with OS locking, GI: C_GetInfo, SL: C_GetSlotList, T0: C_GetTokenInfo.
      const threads = ['--test-threads', 'ILGISLT0'];
      const { stdout, stderr } = await succeed(tool(...Array.from({ length: 8 }, () => threads).flat()));
      const said = `${stdout}${stderr}`;
      expect(said.match(/C_Initialize\S* +(returned |rv:)CKR_OK|\(NULL\) rv:CKR_OK/g)).to.have.length(1);
      expect(said.match(/rv:CKR_CRYPTOKI_ALREADY|returned CKR_CRYPTOKI_ALREADY/g)).to.have.length.of.at.least(
        8,
      );
      expect(said).to.contain('all threads have ended');
      expect(said).not.to.contain('CKR_GENERAL_ERROR');
    });
  });

  for (const [at, bits] of [2048, 3072, 4096].entries()) {
    describe(`an RSA key pair of ${bits} bits`, () => {
      const id = `010${at}`;
      const label = `rsa-${bits}`;
      const key = `${label}.pub`;

      it('is generated in the HSM', async () => {
        const { stdout } = await generateRsaKey(bits, id, label);
        expect(stdout).to.contain('Private Key Object; RSA');
        expect(stdout).to.contain(`Public Key Object; RSA ${bits} bits`);
        expect(stdout).to.match(/Access: +sensitive, always sensitive, extractable, local/);
      });

      it('gives its public half to OpenSSL', async () => {
        const { stdout } = await openssl('pkey', '-pubin', '-inform', 'DER', '-in', key, '-noout', '-text');
        expect(stdout).to.contain(`Public-Key: (${bits} bit)`);
      });

      it('signs a short message with RSA-PKCS that openssl recovers', async () => {
        await sign('RSA-PKCS', id, '-i', 'short');
        await openssl(
          ...['pkeyutl', '-verifyrecover', '-pubin', '-keyform', 'DER', '-inkey', key],
          ...['-in', 'signature', '-out', 'recovered'],
        );
        expect(read('recovered').equals(read('short'))).to.equal(true);
      });

      it('signs a block with RSA-X-509 that openssl recovers', async () => {
        write('block', Buffer.concat([Buffer.from([0]), randomBytes(bits / 8 - 1)]));
        await sign('RSA-X-509', id, '-i', 'block');
        await openssl(
          ...['pkeyutl', '-verifyrecover', '-pubin', '-keyform', 'DER', '-inkey', key],
          ...['-pkeyopt', 'rsa_padding_mode:none', '-in', 'signature', '-out', 'recovered'],
        );
        expect(read('recovered').equals(read('block'))).to.equal(true);
      });

      // Each hash with one size of key, and each size with one hash.
      const tried = hashes.filter(({ hash }) => bits === 2048 || hash === 'SHA256');
      for (const { hash, mechanism, openssl: opensslHash, saltBytes } of tried) {
        it(`signs a file with ${hash}-RSA-PKCS that openssl and the HSM verify`, async () => {
          await sign(`${hash}-RSA-PKCS`, id, '-i', 'data');
          await opensslVerify(key, opensslHash);
          await expectVerifiedByHsm(`${hash}-RSA-PKCS`, id);
        });

        const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', `rsa_mgf1_md:${opensslHash}`];

        it(`signs a file with ${hash}-RSA-PKCS-PSS that openssl and the HSM verify`, async () => {
          await sign(`${hash}-RSA-PKCS-PSS`, id, '-i', 'data');
          await opensslVerify(key, opensslHash, ...pss, '-sigopt', `rsa_pss_saltlen:${saltBytes}`);
          await expectVerifiedByHsm(`${hash}-RSA-PKCS-PSS`, id);
        });

        it(`signs a ${hash} hash with RSA-PKCS-PSS and a salt of 8 bytes that openssl verifies`, async () => {
          write('hash', createHash(opensslHash).update(read('data')).digest());
          await sign('RSA-PKCS-PSS', id, '--hash-algorithm', mechanism, '--salt-len', '8', '-i', 'hash');
          await opensslVerify(key, opensslHash, ...pss, '-sigopt', 'rsa_pss_saltlen:8');
        });

        it(`decrypts with RSA-PKCS-OAEP and ${hash} what openssl encrypted`, async () => {
          await openssl(
            ...['pkeyutl', '-encrypt', '-pubin', '-keyform', 'DER', '-inkey', key, '-in', 'short'],
            ...['-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', `rsa_oaep_md:${opensslHash}`],
            ...['-out', 'encrypted'],
          );
          await hsm(
            ...['--decrypt', '-m', 'RSA-PKCS-OAEP', '--hash-algorithm', mechanism, '--id', id],
            ...['-i', 'encrypted', '-o', 'decrypted'],
          );
          expect(read('decrypted').equals(read('short'))).to.equal(true);
        });
      }

      it('does no RSA-PKCS decryption, which a FIPS cluster refuses', async () => {
        // Reference, section 9.2.
        write('encrypted', randomBytes(bits / 8));
        const decrypting = toolAs(
          engine.pin,
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
        const { stdout } = await generateEcKey(curve, id, label);
        expect(stdout).to.contain('Private Key Object; EC');
        expect(stdout).to.contain('Public Key Object; EC');
        expect(stdout).to.match(/Access: +sensitive, always sensitive, extractable, local/);
      });

      it('gives its public half to OpenSSL', async () => {
        const { stdout } = await openssl('pkey', '-pubin', '-inform', 'DER', '-in', key, '-noout', '-text');
        expect(stdout).to.contain(`ASN1 OID: ${curve}`);
        if (readable) {
          await hsm('--read-object', '--type', 'pubkey', '--id', id, '-o', 'read.pub');
          expect(read('read.pub').equals(read(key))).to.equal(true);
        }
      });

      for (const { hash, openssl: opensslHash } of hashes) {
        it(`signs a file with ECDSA-${hash} that openssl and the HSM verify`, async () => {
          await sign(`ECDSA-${hash}`, id, '-i', 'data', '--signature-format', 'openssl');
          await opensslVerify(key, opensslHash);
          await expectVerifiedByHsm(`ECDSA-${hash}`, id, '--signature-format', 'openssl');
        });

        it(`signs a ${hash} hash with ECDSA that openssl verifies`, async () => {
          write('hash', createHash(opensslHash).update(read('data')).digest());
          await sign('ECDSA', id, '-i', 'hash', '--signature-format', 'sequence');
          await opensslVerify(key, opensslHash);
        });
      }

      it('gives a raw signature of twice the length of the field', async () => {
        await sign('ECDSA-SHA256', id, '-i', 'data', '--signature-format', 'rs');
        expect(read('signature')).to.have.length(2 * fieldBytes);
        await expectVerifiedByHsm('ECDSA-SHA256', id, '--signature-format', 'rs');
      });
    });
  }

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
        hsm(`--${direction}`, '-m', mechanism, '--id', id, ...words);

      it(`imports and generates AES keys of ${bytes} bytes`, async () => {
        write(`aes-${bytes}`, randomBytes(bytes));
        await hsm(
          ...['--write-object', `aes-${bytes}`, '--type', 'secrkey', '--key-type', `AES:${bytes}`],
          ...['--usage-decrypt', '--id', imported, '--label', `imported-aes-${bytes}`],
        );
        const { stdout } = await hsm(
          ...['--keygen', '--key-type', `AES:${bytes}`, '--id', generated, '--label', `aes-${bytes}`],
        );
        expect(stdout).to.contain(`Secret Key Object; AES length ${bytes}`);
      });

      for (const { mechanism, openssl: mode, options, input, padding } of ciphers) {
        it(`encrypts and decrypts ${input} with ${mechanism} and ${bytes} bytes of key as openssl does`, async () => {
          const key = read(`aes-${bytes}`).toString('hex');
          const cipher = [`-aes-${bytes * 8}-${mode}`, '-K', key, ...(mode === 'cbc' ? ['-iv', iv] : [])];
          await crypt('encrypt', imported, mechanism, ...options, '-i', input, '-o', 'encrypted');
          await openssl('enc', '-d', ...cipher, ...padding, '-in', 'encrypted', '-out', 'decrypted');
          expect(read('decrypted').equals(read(input))).to.equal(true);

          await openssl('enc', '-e', ...cipher, ...padding, '-in', input, '-out', 'encrypted');
          await crypt('decrypt', imported, mechanism, ...options, '-i', 'encrypted', '-o', 'decrypted');
          expect(read('decrypted').equals(read(input))).to.equal(true);
        });

        it(`decrypts ${input} with ${mechanism} and the generated key of ${bytes} bytes`, async () => {
          await crypt('encrypt', generated, mechanism, ...options, '-i', input, '-o', 'encrypted');
          expect(read('encrypted').includes(read(input))).to.equal(false);
          await crypt('decrypt', generated, mechanism, ...options, '-i', 'encrypted', '-o', 'decrypted');
          expect(read('decrypted').equals(read(input))).to.equal(true);
        });
      }
    }

    it('makes HMACs with an imported generic secret as openssl does', async () => {
      write('generic', randomBytes(40));
      await hsm(
        ...['--write-object', 'generic', '--type', 'secrkey', '--usage-sign'],
        ...['--id', '0320', '--label', 'imported-generic'],
      );
      const key = read('generic').toString('hex');
      for (const { hash, openssl: opensslHash } of hashes) {
        await sign(hash === 'SHA1' ? 'SHA-1-HMAC' : `${hash}-HMAC`, '0320', '-i', 'short');
        const { stdout } = await openssl(
          ...['mac', '-digest', opensslHash, '-macopt', `hexkey:${key}`, '-in', 'short', 'HMAC'],
        );
        expect(read('signature').toString('hex'), hash).to.equal(stdout.trim().toLowerCase());
      }
    });

    it('makes the same HMAC again with a generated generic secret', async () => {
      await hsm('--keygen', '--key-type', 'GENERIC:32', '--id', '0321', '--label', 'generated-generic');
      await sign('SHA256-HMAC', '0321', '-i', 'short');
      const first = read('signature');
      await sign('SHA256-HMAC', '0321', '-i', 'short');
      expect(read('signature').equals(first)).to.equal(true);
      expect(first).to.have.length(32);
    });

    it('does not show the value of a key', async () => {
      const reading = toolAs(engine.pin, '--read-object', '--type', 'secrkey', '--id', '0321', '-o', 'value');
      expect((await reading).code).not.to.equal(0);
    });
  });

  describe('imported objects', () => {
    before(async () => {
      await openssl('genrsa', '-out', 'imported-rsa.pem', '2048');
      for (const { curve } of curves) {
        await openssl('ecparam', '-genkey', '-noout', '-name', curve, '-out', `imported-${curve}.pem`);
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
        await openssl('pkey', '-in', `${label}.pem`, '-outform', 'DER', '-out', `${label}.der`);
        await openssl('pkey', '-in', `${label}.pem`, '-pubout', '-outform', 'DER', '-out', `${label}.pub`);
        const options = ['--id', id, '--label', label, '--usage-sign'];
        await hsm('--write-object', `${label}.der`, '--type', 'privkey', ...options);
        await sign(mechanism, id, '-i', 'data', ...format);
        await opensslVerify(`${label}.pub`, 'sha256');
      });

      it(`verifies with the imported public key ${name} what openssl signed`, async () => {
        const options = ['--id', id, '--label', label, '--usage-sign'];
        await hsm('--write-object', `${label}.pub`, '--type', 'pubkey', ...options);
        await openssl('dgst', '-sha256', '-sign', `${label}.pem`, '-out', 'signature', 'data');
        await expectVerifiedByHsm(mechanism, id, ...format);
      });
    }

    it('verifies an EC signature whose halves lack their leading zeros, as Java hands them over', async () => {
      // "the signature may have a shorter length" (PKCS#11 v2.40 mechanisms, section 2.3.1).
      const key = { key: read('imported-secp521r1.pem'), dsaEncoding: 'ieee-p1363' } as const;
      const half = 66;
      let signature: Buffer;
      do signature = signInNode('sha256', read('data'), key);
      while (signature[0] !== 0 || signature[half] !== 0);
      write('signature', Buffer.concat([signature.subarray(1, half), signature.subarray(half + 1)]));
      await expectVerifiedByHsm('ECDSA-SHA256', '0414', '--signature-format', 'rs');
    });

    it('writes a certificate and reads it back', async () => {
      await openssl(
        ...['req', '-new', '-x509', '-key', 'imported-rsa.pem', '-subj', '/CN=stored', '-days', '1'],
        ...['-outform', 'DER', '-out', 'certificate.der'],
      );
      await hsm('--write-object', 'certificate.der', '--type', 'cert', '--id', '0400', '--label', 'stored');
      expect((await objectsNamed('stored')).join('\n')).to.match(/Certificate Object.*\n[\s\S]*CN=stored/);
      await hsm('--read-object', '--type', 'cert', '--id', '0400', '-o', 'read.der');
      expect(read('read.der').equals(read('certificate.der'))).to.equal(true);
    });

    it('is refused a data object, which CloudHSM does not store', async () => {
      // Reference, section 11.2, last row.
      const writing = toolAs(
        engine.pin,
        '--write-object',
        'short',
        '--type',
        'data',
        '--label',
        'data-object',
      );
      await expectRefused(writing, 'CKR_TEMPLATE_INCONSISTENT');
    });

    it('deletes each kind of object, and only it', async () => {
      await generateEcKey('prime256v1', '0500', 'deleted');
      await hsm(...['--keygen', '--key-type', 'AES:32', '--id', '0500', '--label', 'deleted']);
      await hsm('--write-object', 'certificate.der', '--type', 'cert', '--id', '0500', '--label', 'deleted');
      const kinds = { privkey: 'Private', pubkey: 'Public', secrkey: 'Secret', cert: 'Certificate' };
      const left = new Set(Object.values(kinds));
      for (const [type, kind] of Object.entries(kinds)) {
        await hsm('--delete-object', '--type', type, '--id', '0500');
        left.delete(kind);
        const listed = (await objectsNamed('deleted')).map((text) => text.split(' ')[0]);
        expect(new Set(listed)).to.deep.equal(left);
      }
      const signing = toolAs(engine.pin, '--sign', '-m', 'ECDSA', '--id', '0500', '-i', 'short');
      expect((await signing).code).not.to.equal(0);
    });
  });

  describe('what CloudHSM does elsewhere or not at all', () => {
    it('makes no RSA key pair of another size', async () => {
      // "2048-4096 in steps of 256" (reference, section 8).
      for (const bits of [1024, 2049, 8192]) {
        const making = toolAs(engine.pin, '--keypairgen', '--key-type', `rsa:${bits}`, '--label', 'refused');
        await expectRefused(making, 'CKR_ATTRIBUTE_VALUE_INVALID');
      }
      expect(await objectsNamed('refused')).to.deep.equal([]);
    });

    const refused = [
      { name: 'initialise the token', words: ['--init-token', '--so-pin', 'admin:password', '--label', 'x'] },
      { name: 'change a password', words: ['--change-pin', '--new-pin', 'crypto_user:password'] },
    ];
    for (const { name, words } of refused) {
      it(`does not ${name}`, async () => {
        await expectRefused(toolAs(engine.pin, ...words), 'CKR_FUNCTION_NOT_SUPPORTED');
      });
    }

    it('does not change the id of a key', async () => {
      const setting = toolAs(engine.pin, '--set-id', '9999', '--type', 'privkey', '--label', 'listed');
      await expectRefused(setting, 'CKR_FUNCTION_NOT_SUPPORTED');
    });
  });

  describe('an engine that is stopped and started', () => {
    it('has kept keys and certificates', async () => {
      await sign('ECDSA-SHA256', '0200', '-i', 'data', '--signature-format', 'openssl');
      const before = objectsOf(await hsm('-O')).sort();
      expect((await cloudhsmLocal(['down', '--home', engine.home])).code).to.equal(0);
      const whileDown = await toolAs(engine.pin, '-O');
      expect(whileDown.code).not.to.equal(0);
      expect(whileDown.stderr).to.contain(engine.socket);

      await engine.restart();
      expect(objectsOf(await hsm('-O')).sort()).to.deep.equal(before);
      await expectVerifiedByHsm('ECDSA-SHA256', '0200', '--signature-format', 'openssl');
      await sign('SHA256-RSA-PKCS', '0100', '-i', 'data');
      await opensslVerify('rsa-2048.pub', 'sha256');
    });
  });

  // The last ones: at their end nobody logs in any more.
  describe('a login that fails', () => {
    const failures = [
      {
        name: 'a wrong password',
        words: () => ['--pin', 'crypto_user:wrong-password'],
        ckr: 'CKR_PIN_INCORRECT',
      },
      {
        name: 'a user who does not exist',
        words: () => ['--pin', 'nobody:password'],
        ckr: 'CKR_PIN_INCORRECT',
      },
      { name: 'a password without a user', words: () => ['--pin', 'password'], ckr: 'CKR_PIN_INCORRECT' },
      {
        name: 'the admin, who is no crypto user',
        words: () => ['--pin', `admin:${engine.credentials.admin.password}`],
        ckr: 'CKR_PIN_INCORRECT',
      },
      {
        name: 'a security officer, whom CloudHSM does not know',
        words: () => ['--login-type', 'so', '--so-pin', 'admin:password'],
        ckr: 'CKR_USER_TYPE_INVALID',
      },
    ];
    for (const { name, words, ckr } of failures) {
      it(`is refused with ${ckr}: ${name}`, async () => {
        await expectRefused(tool('--login', ...words(), '-O'), ckr);
      });
    }

    it('locks the user out after more than five wrong passwords, also after a restart', async () => {
      // Reference, section 5, "Lockout".
      await hsm('-O');
      for (let attempt = 0; attempt < 6; attempt++) {
        await expectRefused(toolAs('crypto_user:wrong-password', '-O'), 'CKR_PIN_INCORRECT');
      }
      await expectRefused(toolAs(engine.pin, '-O'), 'CKR_PIN_LOCKED');
      expect((await cloudhsmLocal(['down', '--home', engine.home])).code).to.equal(0);
      await engine.restart();
      await expectRefused(toolAs(engine.pin, '-O'), 'CKR_PIN_LOCKED');
    });
  });
});
