import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { ed25519Oid } from '../../../src/crypto/index.js';
import { CKA } from '../../../src/pkcs11/attributes.js';
import { CKM } from '../../../src/pkcs11/mechanisms.js';
import { attribute } from '../../../src/pkcs11/template.js';
import { handleOfPem } from '../../../src/tools/reference-pem.js';
import { type CliOptions, dataOf, runCli } from '../../support/cli.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

const OWNER = { pin: `crypto_user:${PASSWORD}` } as const;
const OTHER = { pin: `other_user:${PASSWORD}` } as const;
const ADMIN = { pin: `admin:${PASSWORD}`, role: 'admin' } as const;

interface ShownKey {
  'key-reference': string;
  'key-info': Record<string, unknown>;
  attributes: Record<string, unknown>;
}

describe('cloudhsm-cli: keys', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints.slice(0, 1), network.client);
  });

  after(async () => {
    prefix.remove();
    await network.close();
  });

  /** What a command answers; an error is its text. */
  const run = async <T = Record<string, unknown>>(line: string, as: CliOptions = OWNER): Promise<T> =>
    dataOf(await runCli(prefix, line.split(' '), as)) as T;
  const aes = (label: string, more = '') =>
    run<{ key: ShownKey }>(`key generate-symmetric aes --label ${label} --key-length-bytes 32${more}`);
  const rsa = (label: string, more = '') =>
    run<{ public_key: ShownKey; private_key: ShownKey }>(
      `key generate-asymmetric-pair rsa --public-label ${label} --private-label ${label} --modulus-size-bits 2048 --public-exponent 65537${more}`,
    );

  // Programs of others get a report of what CloudHSM refuses; nobody would write one for a tool.
  it('are made as CloudHSM makes them, whatever the profile lets programs do', async () => {
    const failed = async (made: Promise<unknown>, because: string) => expect(await made).to.contain(because);
    await aes('unlike', ' --attributes id=0xaa');
    await failed(aes('unlike', ' --attributes id=0xaa'), 'duplicate-id');
    await failed(aes('unlike', ' --attributes private=false'), 'private-false');
    await failed(aes('unlike', ' --attributes sensitive=false'), 'sensitive-false');
    await failed(rsa('unlike', ' --public-attributes sign=true'), 'flag-without-use');
    const { total_key_count: count } = await run('key list --filter attr.label=unlike');
    expect(count).to.equal(1);
  });

  it('are generated with the documented attributes, in the documented order', async () => {
    const { key } = await aes('k1', ' --attributes encrypt=true id=0x0102');
    expect(key['key-reference']).to.match(/^0x[0-9a-f]{16}$/);
    expect(key['key-info']).to.deep.equal({
      'key-owners': [{ username: 'crypto_user', 'key-coverage': 'full' }],
      'shared-users': [],
      'key-quorum-values': { 'manage-key-quorum-value': 0, 'use-key-quorum-value': 0 },
      'cluster-coverage': 'full',
    });
    const { 'check-value': checkValue, ...attributes } = key.attributes;
    expect(checkValue).to.match(/^0x[0-9a-f]{6}$/);
    expect(JSON.stringify(attributes)).to.equal(
      JSON.stringify({
        'key-type': 'aes',
        label: 'k1',
        id: '0x0102',
        class: 'secret-key',
        encrypt: true,
        decrypt: false,
        token: true,
        'always-sensitive': true,
        derive: false,
        destroyable: true,
        extractable: true,
        local: true,
        modifiable: true,
        'never-extractable': false,
        private: true,
        sensitive: true,
        sign: true,
        trusted: false,
        unwrap: false,
        verify: true,
        wrap: false,
        'wrap-with-trusted': false,
        'key-length-bytes': 32,
      }),
    );
  });

  it('of RSA show their modulus and lengths', async () => {
    const { public_key: publicKey, private_key: privateKey } = await rsa(
      'r1',
      ' --private-attributes sign=true',
    );
    expect(publicKey.attributes).to.include({
      'key-length-bytes': 512,
      'public-exponent': '0x010001',
      'modulus-size-bits': 2048,
    });
    expect(privateKey.attributes).to.include({
      class: 'private-key',
      sign: true,
      modulus: publicKey.attributes['modulus'],
    });
    expect(privateKey.attributes['key-length-bytes']).to.be.within(1214, 1220);
  });

  it('are listed in pages, by filters, with all there is to know or only the label', async () => {
    for (const label of ['list1', 'list2', 'list3']) await aes(label);
    const first = await run(
      'key list --max-items 2 --filter attr.class=secret-key attr.sign=true attr.wrap=false',
    );
    expect(first).to.deep.include({ returned_key_count: 2, next_token: '2' });
    expect((first['matched_keys'] as ShownKey[])[0]!.attributes).to.have.all.keys('label');
    const next = await run('key list --starting-token 2 --filter attr.class=secret-key');
    expect(next).not.to.have.property('next_token');
    expect(next['total_key_count']).to.equal(first['total_key_count']);
    const [key] = (await run('key list --verbose --filter attr.label=list2'))['matched_keys'] as ShownKey[];
    const byReference = await run(`key list --filter key-reference=${key!['key-reference']}`);
    expect(byReference).to.deep.include({ total_key_count: 1 });
    expect(await run('key list --filter attr.label=list2', OTHER)).to.deep.include({ total_key_count: 0 });
    const asAdmin = await run('key list --verbose --filter attr.label=list2', ADMIN);
    expect(asAdmin['matched_keys']).to.deep.equal([
      { 'key-reference': key!['key-reference'], attributes: { label: 'list2' } },
    ]);
  });

  it('must be one where one is meant', async () => {
    await aes('twin');
    await aes('twin');
    expect(await run('key delete --filter attr.label=twin')).to.equal(
      'Key selection criteria matched 2 keys. Refine selection criteria to select a single key.',
    );
    expect(await run('key delete --filter attr.label=nothing')).to.match(
      /^Key selection criteria matched 0 keys\./,
    );
    await aes('single');
    expect(await run('key delete --filter attr.label=single')).to.deep.equal({
      message: 'Key deleted successfully',
    });
    expect(await run('key list --filter attr.label=single')).to.deep.include({ total_key_count: 0 });
  });

  it('are shared, used by who shares them, and not changed by them', async () => {
    await rsa('shared', ' --private-attributes sign=true --public-attributes verify=true');
    const share =
      '--filter attr.label=shared attr.class=private-key --username other_user --role crypto-user';
    expect(await run(`key share ${share}`)).to.deep.equal({ message: 'Key shared successfully' });
    const sign =
      'crypto sign rsa-pkcs --key-filter attr.label=shared attr.class=private-key --hash-function sha256 --data YWJj';
    expect(await run(sign, OTHER)).to.have.property('signature');
    const [key] = (await run('key list --verbose --filter attr.label=shared attr.class=private-key'))[
      'matched_keys'
    ] as ShownKey[];
    expect(key!['key-info']['shared-users']).to.deep.equal([
      { username: 'other_user', 'key-coverage': 'full' },
    ]);
    expect(await run('key delete --filter attr.label=shared', OTHER)).to.contain('belongs to crypto_user');
    expect(await run(`key unshare ${share}`)).to.deep.equal({ message: 'Key unshared successfully' });
    expect(await run(sign, OTHER)).to.match(/matched 0 keys/);
  });

  it('have attributes that their owner sets, and one that an admin sets', async () => {
    await aes('settable');
    const set = '--filter attr.label=settable --name';
    expect(await run(`key set-attribute ${set} encrypt --value true`)).to.deep.equal({
      message: 'Attribute set successfully',
    });
    expect(await run(`key set-attribute ${set} trusted --value true`)).to.contain('set by an admin');
    expect(await run(`key set-attribute ${set} trusted --value true`, ADMIN)).to.deep.equal({
      message: 'Attribute set successfully',
    });
    expect(await run(`key set-attribute ${set} local --value true`)).to.contain('never changes');
    expect(await run(`key set-attribute ${set} wrap --value maybe`)).to.contain('true or false');
    expect(await run(`key set-attribute ${set} magic --value 1`)).to.contain("no attribute 'magic'");
    const [key] = (await run('key list --verbose --filter attr.label=settable'))[
      'matched_keys'
    ] as ShownKey[];
    expect(key!.attributes).to.include({ encrypt: true, trusted: true });
  });

  it('sign what node verifies, of data and of digests, with every hash', async () => {
    await rsa('signer', ' --private-attributes sign=true --public-attributes verify=true');
    await run(
      'key generate-asymmetric-pair ec --curve prime256v1 --public-label signer-ec --private-label signer-ec --public-attributes verify=true --private-attributes sign=true',
    );
    for (const [label, mechanism, options] of [
      ['signer', 'rsa-pkcs', {}],
      ['signer', 'rsa-pkcs-pss', { padding: 6, saltLength: 20 }],
      ['signer-ec', 'ecdsa', { dsaEncoding: 'ieee-p1363' as const }],
    ] as const) {
      const file = prefix.path(`${label}.pem`);
      await run(
        `key generate-file --encoding pem --path ${file} --filter attr.label=${label} attr.class=public-key`,
      );
      const key = createPublicKey(readFileSync(file));
      for (const hash of ['sha1', 'sha512']) {
        const pss = mechanism === 'rsa-pkcs-pss' ? ` --mgf mgf1-${hash} --salt-length 20` : '';
        const data = Buffer.from('some data');
        const digest = createHash(hash).update(data).digest();
        for (const input of [
          `--data ${data.toString('base64')}`,
          `--data ${digest.toString('base64')} --data-type digest`,
        ]) {
          const common = `--hash-function ${hash}${pss} ${input}`;
          const signed = await run<{ signature: string }>(
            `crypto sign ${mechanism} --key-filter attr.label=${label} attr.class=private-key ${common}`,
          );
          expect(
            verify(hash, data, { key, ...options }, Buffer.from(signed.signature, 'base64')),
            `${mechanism} ${hash}`,
          ).to.equal(true);
          const check = `crypto verify ${mechanism} --key-filter attr.label=${label} attr.class=public-key --signature ${signed.signature} ${common}`;
          expect(await run(check)).to.deep.equal({ message: 'Signature verified successfully' });
          const forged = check.replace(
            /--data \S+/,
            `--data ${Buffer.alloc(digest.length).toString('base64')}`,
          );
          expect(await run(forged)).to.equal('Signature verification failed');
        }
      }
    }
  });

  it('are wrapped and unwrapped by every mechanism', async () => {
    await aes('payload', ' --attributes encrypt=true');
    await aes('wrapper', ' --attributes wrap=true unwrap=true');
    await rsa('wrapper-rsa', ' --public-attributes wrap=true --private-attributes unwrap=true');
    const hash = '--hash-function sha256 --mgf mgf1-sha256';
    for (const [mechanism, options, bytes] of [
      ['aes-no-pad', '', 40],
      ['aes-pkcs5-pad', '', 48],
      ['aes-zero-pad', '', 40],
      ['aes-gcm', '--tag-length-bits 128 --aad 0x10', 48],
      ['aes-gcm', '--tag-length-bits 64 --aad 0x10', 40],
      ['cloudhsm-aes-gcm', '--tag-length-bits 128 --aad 0x10', 60],
      ['rsa-aes', hash, 296],
      ['rsa-oaep', hash, 256],
    ] as const) {
      const isRsa = mechanism.startsWith('rsa');
      const label = isRsa ? 'wrapper-rsa' : 'wrapper';
      const [wrapping, unwrapping] = isRsa ? [' attr.class=public-key', ' attr.class=private-key'] : ['', ''];
      const tail = options === '' ? '' : ` ${options}`;
      const wrapped = await run<Record<string, string>>(
        `key wrap ${mechanism} --payload-filter attr.label=payload --wrapping-filter attr.label=${label}${wrapping}${tail}`,
      );
      const separator = isRsa ? '-' : '_';
      const data = wrapped[['wrapped', 'key', 'data'].join(separator)]!;
      expect(Buffer.from(data, 'base64'), mechanism).to.have.length(bytes);
      const iv = mechanism === 'aes-gcm' ? ` --iv ${wrapped['iv']}` : '';
      const { key } = await run<{ key: ShownKey }>(
        `key unwrap ${mechanism} --filter attr.label=${label}${unwrapping} --data ${data} --key-type-class aes --label again-${mechanism}${tail}${iv}`,
      );
      expect(key.attributes, mechanism).to.include({
        local: false,
        'always-sensitive': false,
        'key-length-bytes': 32,
      });
      const original = (await run('key list --verbose --filter attr.label=payload'))[
        'matched_keys'
      ] as ShownKey[];
      expect(key.attributes['check-value']).to.equal(original[0]!.attributes['check-value']);
    }
  });

  // The CLI makes no such keys; PKCS#11 programs do.
  it('of Ed25519 are written as public key files', async () => {
    const other = await NetworkCluster.start({ hsms: 2, mode: 'NON_FIPS' });
    const installed = new TestPrefix(other.endpoints.slice(0, 1), other.client);
    const client = other.cluster.connect();
    await client.login('crypto_user', PASSWORD);
    const { publicKey } = await client.generateKeyPair(
      CKM.CKM_EC_KEY_PAIR_GEN,
      [attribute(CKA.CKA_EC_PARAMS, ed25519Oid), attribute(CKA.CKA_TOKEN, true)],
      [attribute(CKA.CKA_TOKEN, true)],
    );
    client.close();
    const path = installed.path('ed25519.pem');
    const line = `key generate-file --encoding pem --path ${path} --filter key-reference=0x${publicKey.toString(16)}`;
    const shown = dataOf(await runCli(installed, line.split(' '), OWNER));
    expect(shown).to.deep.equal({ message: 'Successfully generated key file' });
    expect(createPublicKey(readFileSync(path)).asymmetricKeyType).to.equal('ed25519');
    installed.remove();
    await other.close();
  });

  it('are written as files that refer to them, and public ones are read from files', async () => {
    const { private_key: key } = await rsa('filed', ' --private-attributes sign=true');
    const file = prefix.path('filed.ref');
    expect(
      await run(
        `key generate-file --encoding reference-pem --path ${file} --filter attr.label=filed attr.class=private-key`,
      ),
    ).to.deep.equal({
      message: 'Successfully generated key file',
    });
    expect(handleOfPem(readFileSync(file, 'utf8'))).to.equal(Number.parseInt(key['key-reference'], 16));
    const wrong = await run(
      `key generate-file --encoding pem --path ${file} --filter attr.label=filed attr.class=private-key`,
    );
    expect(wrong).to.equal('pem is for public keys');
    const pem = prefix.path('filed.pem');
    await run(
      `key generate-file --encoding pem --path ${pem} --filter attr.label=filed attr.class=public-key`,
    );
    const imported = await run<{ key: ShownKey; message: string }>(
      `key import pem --path ${pem} --label imported --key-type-class rsa-public --attributes verify=true`,
    );
    expect(imported.message).to.equal('Successfully imported key');
    expect(imported.key.attributes).to.include({
      local: false,
      verify: true,
      modulus: key.attributes['modulus'],
    });
    expect(await run(`key import pem --path ${pem} --label x --key-type-class ec-public`)).to.contain(
      'no ec-public key',
    );
    expect(await run('key import pem --path /none --label x --key-type-class ec-public')).to.equal(
      'there is no file /none',
    );
  });

  it('that are session keys end with the tool; one shared with nobody there is stays nowhere', async () => {
    expect((await aes('fleeting', ' --session')).key['key-info']['cluster-coverage']).to.equal('session');
    expect(await run('key list --filter attr.label=fleeting')).to.deep.include({ total_key_count: 0 });
    expect(await aes('shareless', ' --share-crypto-users other_user nobody')).to.contain(
      'no crypto user nobody',
    );
    expect(await run('key list --filter attr.label=shareless')).to.deep.include({ total_key_count: 0 });
    expect(await aes('contradiction', ' --attributes label=x')).to.contain('say the same');
  });
});

describe('cloudhsm-cli: keys on one HSM', () => {
  it('are refused where two must have them', async () => {
    const network = await NetworkCluster.start({ hsms: 1 });
    const prefix = new TestPrefix(network.endpoints, network.client);
    const generate = ['key', 'generate-symmetric', 'aes', '--label', 'k', '--key-length-bytes', '32'];
    expect(dataOf(await runCli(prefix, generate, OWNER))).to.equal(
      'Cannot perform the requested key operation as the key must be available on at least 2 HSMs',
    );
    prefix.remove();
    const unchecked = new TestPrefix(network.endpoints, network.client, {
      disable_key_availability_check: true,
    });
    expect(dataOf(await runCli(unchecked, generate, OWNER))).to.have.property('key');
    unchecked.remove();
    await network.close();
  });
});
