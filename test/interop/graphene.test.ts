import { createHash, createVerify, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import graphene from 'graphene-pk11';
import { confFolder, modulePath, projectRoot, TestEngine } from '../support/engine.js';

const { KeyGenMechanism, KeyType, ObjectClass, SessionFlag, NamedCurve } = graphene;

describe('graphene-pk11', () => {
  let engine: TestEngine;
  let module: graphene.Module;
  let session: graphene.Session;

  before(async () => {
    engine = await TestEngine.start();
    engine.useInThisProcess();
    module = graphene.Module.load(modulePath, 'CloudHSM');
    module.initialize();
    session = module.getSlots(0, true).open(SessionFlag.RW_SESSION | SessionFlag.SERIAL_SESSION);
    session.login(engine.pin);
  });

  after(async () => {
    module.finalize();
    await engine.stop();
  });

  const pair = (label: string): graphene.IKeyPair =>
    session.generateKeyPair(
      KeyGenMechanism.EC,
      {
        keyType: KeyType.EC,
        token: true,
        verify: true,
        label,
        paramsECDSA: NamedCurve.getByName('secp256r1').value,
      },
      { keyType: KeyType.EC, token: true, sign: true, label },
    );

  it('describes slot, token and mechanisms', () => {
    const slot = module.getSlots(0, true);
    expect(slot.getToken().label.trim()).to.equal('hsm1');
    const names = [...Array(slot.getMechanisms().length).keys()].map(
      (at) => slot.getMechanisms().items(at).name,
    );
    expect(names).to.include.members(['ECDSA', 'AES_GCM', 'SHA256_RSA_PKCS']);
  });

  it('signs, and verifies what it signed', () => {
    const keys = pair('graphene');
    const data = Buffer.from('data');
    const signature = session.createSign('ECDSA_SHA256', keys.privateKey).once(data);
    expect(session.createVerify('ECDSA_SHA256', keys.publicKey).once(data, signature)).to.equal(true);
    expect(
      session.createVerify('ECDSA_SHA256', keys.publicKey).once(Buffer.from('other'), signature),
    ).to.equal(false);
  });

  it('finds objects by attributes and reads them', () => {
    pair('by-label');
    const found = session.find({ class: ObjectClass.PRIVATE_KEY, label: 'by-label' });
    expect(found.length).to.equal(1);
    const key = found.items(0).toType<graphene.PrivateKey>();
    expect([key.label, key.token, key.sensitive, key.type]).to.deep.equal([
      'by-label',
      true,
      true,
      KeyType.EC,
    ]);
  });

  it('encrypts in parts and digests', () => {
    const key = session.generateKey(KeyGenMechanism.AES, {
      keyType: KeyType.AES,
      valueLen: 32,
      encrypt: true,
      decrypt: true,
      token: false,
    });
    const algorithm = { name: 'AES_CBC_PAD', params: Buffer.alloc(16, 1) };
    const cipher = session.createCipher(algorithm, key);
    const ciphertext = Buffer.concat([
      cipher.update(Buffer.from('first ')),
      cipher.update(Buffer.from('second')),
      cipher.final(),
    ]);
    const decipher = session.createDecipher(algorithm, key);
    expect(Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString()).to.equal(
      'first second',
    );
    const digest = session.createDigest('SHA256').once(Buffer.from('abc'));
    expect(digest).to.deep.equal(createHash('sha256').update('abc').digest());
  });

  // What does not fit a turn of the shared memory, and, from 256 KiB on, is hashed on another thread.
  it('digests data of any length, whole and in parts, again and again', () => {
    for (const lengthBytes of [65_000, 65_536, 262_143, 262_144, 1_048_577, 5_000_000]) {
      const data = randomBytes(lengthBytes);
      const expected = createHash('sha512').update(data).digest();
      for (let round = 0; round < 3; round++) {
        expect(session.createDigest('SHA512').once(data).equals(expected)).to.equal(true);
        const running = session.createDigest('SHA512');
        running.update(data.subarray(0, lengthBytes >> 1));
        running.update(data.subarray(lengthBytes >> 1));
        expect(running.final().equals(expected)).to.equal(true);
      }
    }
  });

  it('imports a public key and verifies with it', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { n, e } = publicKey.export({ format: 'jwk' });
    const imported = session.create({
      class: ObjectClass.PUBLIC_KEY,
      keyType: KeyType.RSA,
      modulus: Buffer.from(n!, 'base64url'),
      publicExponent: Buffer.from(e!, 'base64url'),
      verify: true,
    });
    const data = Buffer.from('data');
    const verify = session.createVerify('SHA256_RSA_PKCS', imported.toType<graphene.PublicKey>());
    expect(verify.once(data, sign('sha256', data, privateKey))).to.equal(true);
  });

  it('runs the sample in conf/, and OpenSSL verifies what it prints', async () => {
    const { publicKey } = pair('my-ec-key');
    const folder = mkdtempSync(join(tmpdir(), 'chl-'));
    cpSync(join(confFolder, 'node-graphene.mjs'), join(folder, 'sign.mjs'));
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
    const { code, stdout, stderr } = await engine.run(process.execPath, ['sign.mjs', 'my-ec-key'], {
      cwd: folder,
    });
    rmSync(folder, { recursive: true });
    expect(code, stderr).to.equal(0);
    const point = publicKey.toType<graphene.PublicKey>().getAttribute({ pointEC: null }).pointEC!.subarray(3);
    const key = {
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: point.subarray(0, 32).toString('base64url'),
        y: point.subarray(32).toString('base64url'),
      },
      format: 'jwk',
      dsaEncoding: 'ieee-p1363',
    } as const;
    const verified = createVerify('sha256')
      .update('pay 100 to Alice')
      .verify(key, Buffer.from(stdout.trim(), 'hex'));
    expect(verified).to.equal(true);
  });
});
