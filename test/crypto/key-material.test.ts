import * as node from 'node:crypto';
import { expect } from 'chai';
import {
  type CurveName,
  curveByName,
  curveByOid,
  curves,
  ecPrivateComponents,
  ecPrivateKeyInfo,
  ecPublicComponents,
  ecPublicKeyInfo,
  generateEcKeyPair,
  generateRsaKeyPair,
  importPrivateKey,
  importPublicKey,
  type RsaPrivateComponents,
  rsaPrivateComponents,
  rsaPrivateKeyInfo,
  rsaPublicComponents,
  rsaPublicKeyInfo,
} from '../../src/crypto/index.js';
import { codeOf, hex, noBytes, privateDer, publicDer } from './support.js';

describe('RSA key material', () => {
  let pkcs8: Buffer;
  let spki: Buffer;
  let parts: RsaPrivateComponents;

  before(async () => {
    ({ pkcs8, spki } = await generateRsaKeyPair(2048, Buffer.from([1, 0, 1])));
    parts = rsaPrivateComponents(pkcs8);
  });

  it('is the DER node:crypto writes, with the same numbers', () => {
    const privateKey = node.createPrivateKey(privateDer({ pkcs8, spki }));
    expect(privateKey.export({ format: 'der', type: 'pkcs8' })).to.deep.equal(pkcs8);
    expect(node.createPublicKey(privateKey).export({ format: 'der', type: 'spki' })).to.deep.equal(spki);
    const jwk = privateKey.export({ format: 'jwk' });
    const names = {
      modulus: 'n',
      publicExponent: 'e',
      privateExponent: 'd',
      prime1: 'p',
      prime2: 'q',
    } as const;
    for (const [part, name] of Object.entries(names)) {
      expect(parts[part as keyof typeof names].toString('base64url')).to.equal(jwk[name]);
    }
    expect(
      [parts.exponent1, parts.exponent2, parts.coefficient].map((b) => b.toString('base64url')),
    ).to.deep.equal([jwk.dp, jwk.dq, jwk.qi]);
    const { modulus, publicExponent } = rsaPublicComponents(spki);
    expect({ modulus, publicExponent }).to.deep.equal({
      modulus: parts.modulus,
      publicExponent: parts.publicExponent,
    });
  });

  it('goes to components and back', () => {
    expect(rsaPrivateKeyInfo(parts)).to.deep.equal(pkcs8);
    expect(rsaPublicKeyInfo(parts)).to.deep.equal(spki);
    expect(
      rsaPublicKeyInfo({ ...parts, modulus: Buffer.concat([Buffer.alloc(3), parts.modulus]) }),
    ).to.deep.equal(spki);
  });

  it('recovers what is absent', () => {
    const { modulus, publicExponent, privateExponent, prime1, prime2 } = parts;
    const least = { modulus, publicExponent, privateExponent };
    const numbers = (der: Buffer) => {
      const { prime1: p, prime2: q, ...rest } = rsaPrivateComponents(der);
      expect([p, q].sort(Buffer.compare)).to.deep.equal([prime1, prime2].sort(Buffer.compare));
      return rest.privateExponent;
    };
    expect(numbers(rsaPrivateKeyInfo(least))).to.deep.equal(privateExponent);
    expect(rsaPrivateKeyInfo({ ...least, prime1, prime2 })).to.deep.equal(pkcs8);
    expect(rsaPrivateKeyInfo({ ...least, prime1 })).to.deep.equal(pkcs8);
    expect(rsaPrivateKeyInfo({ ...least, prime2 })).to.deep.equal(pkcs8);
  });

  it('refuses numbers that do not belong together, each in turn', async () => {
    for (const name of Object.keys(parts) as (keyof RsaPrivateComponents)[]) {
      const changed = Buffer.from(parts[name]);
      changed[changed.length >> 1]! ^= 4;
      for (const wrong of [changed, noBytes]) {
        expect(await codeOf(() => rsaPrivateKeyInfo({ ...parts, [name]: wrong })), name).to.equal(
          'INVALID_KEY',
        );
      }
    }
    const { modulus, publicExponent, prime1, prime2 } = parts;
    const privateExponent = Buffer.from(parts.privateExponent);
    privateExponent[10]! ^= 1;
    const wrong = { modulus, publicExponent, privateExponent };
    expect(await codeOf(() => rsaPrivateKeyInfo(wrong))).to.equal('INVALID_KEY');
    expect(await codeOf(() => rsaPrivateKeyInfo({ ...wrong, prime1, prime2 }))).to.equal('INVALID_KEY');
  });

  it('refuses moduli and exponents no key can have', async () => {
    const refused = (change: Partial<RsaPrivateComponents>) =>
      codeOf(() => rsaPublicKeyInfo({ ...parts, ...change }));
    for (const publicExponent of [noBytes, Buffer.of(0), Buffer.of(1), Buffer.of(2), parts.modulus]) {
      expect(await refused({ publicExponent })).to.equal('INVALID_KEY');
    }
    for (const modulus of [noBytes, Buffer.of(15), Buffer.alloc(256, 0xfe), Buffer.alloc(2049, 0xff)]) {
      expect(await refused({ modulus })).to.equal('INVALID_KEY');
    }
  });

  it('generates with the exponent and the size asked for, and refuses others', async () => {
    const pair = await generateRsaKeyPair(1024, Buffer.of(0, 3));
    expect(rsaPublicComponents(pair.spki).publicExponent).to.deep.equal(Buffer.of(3));
    expect(importPrivateKey(pair.pkcs8).bits).to.equal(1024);
    for (const exponent of [noBytes, Buffer.of(1), Buffer.of(4), Buffer.alloc(128, 0xff)]) {
      expect(await codeOf(() => generateRsaKeyPair(1024, exponent))).to.equal('UNSUPPORTED');
    }
    for (const bits of [0, 511, 16385]) {
      expect(await codeOf(() => generateRsaKeyPair(bits, Buffer.of(3)))).to.equal('UNSUPPORTED');
    }
  });
});

describe('EC key material', () => {
  it('knows its curves by name and by DER object identifier', () => {
    expect(curves.map((curve) => curve.name)).to.deep.equal([
      'P-224',
      'P-256',
      'secp256k1',
      'P-384',
      'P-521',
    ]);
    for (const curve of curves) {
      expect(curveByName(curve.name)).to.equal(curve);
      expect(curveByOid(new Uint8Array(curve.oid))).to.equal(curve);
    }
    expect(curveByOid(hex('06052b81040001'))).to.equal(undefined);
    expect(curveByOid(noBytes)).to.equal(undefined);
  });

  for (const { name, orderLengthBytes } of curves) {
    it(`on ${name} goes to components and back, and node:crypto reads it`, async () => {
      const { pkcs8, spki } = await generateEcKeyPair(name);
      const { curve, scalar, point } = ecPrivateComponents(pkcs8);
      expect([curve, scalar.length, point[0]]).to.deep.equal([name, orderLengthBytes, 4]);
      expect(ecPrivateKeyInfo(name, scalar)).to.deep.equal(pkcs8);
      expect(ecPublicComponents(spki)).to.deep.equal({ curve: name, point });
      expect(ecPublicKeyInfo(name, point)).to.deep.equal(spki);
      const privateKey = node.createPrivateKey(privateDer({ pkcs8, spki }));
      expect(privateKey.export({ format: 'der', type: 'pkcs8' })).to.deep.equal(pkcs8);
      expect(
        node.createPublicKey(publicDer({ pkcs8, spki })).equals(node.createPublicKey(privateKey)),
      ).to.equal(true);
    });

    it(`on ${name} takes scalars 1..n-1 of any length and no others`, async () => {
      const one = ecPrivateKeyInfo(name, Buffer.of(1));
      expect(ecPrivateComponents(one).scalar).to.deep.equal(
        Buffer.from([...Buffer.alloc(orderLengthBytes - 1), 1]),
      );
      expect(ecPrivateKeyInfo(name, Buffer.from([0, 0, ...Buffer.alloc(orderLengthBytes), 1]))).to.deep.equal(
        one,
      );
      for (const scalar of [noBytes, Buffer.alloc(orderLengthBytes), Buffer.alloc(orderLengthBytes, 0xff)]) {
        expect(await codeOf(() => ecPrivateKeyInfo(name, scalar))).to.equal('INVALID_KEY');
      }
    });
  }

  it('finds a public point of another key inside a private key', async () => {
    const [a, b] = [await generateEcKeyPair('P-256'), await generateEcKeyPair('P-256')];
    const mixed = Buffer.from(a.pkcs8);
    ecPublicComponents(b.spki).point.copy(mixed, mixed.length - 65);
    expect(await codeOf(() => ecPrivateComponents(mixed))).to.equal('INVALID_KEY');
  });

  it('computes the point when the key does not hold it', async () => {
    const { pkcs8, spki } = await generateEcKeyPair('P-256');
    const { scalar, point } = ecPrivateComponents(pkcs8);
    // RFC 5915 ECPrivateKey with version and scalar only, in a PrivateKeyInfo.
    const bare = Buffer.concat([
      hex('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420'),
      scalar,
    ]);
    expect(ecPrivateComponents(bare)).to.deep.equal({ curve: 'P-256', scalar, point });
    expect(importPrivateKey(bare).curve).to.equal('P-256');
    expect(importPublicKey(spki).bits).to.equal(256);
  });

  it('refuses unknown curves', async () => {
    expect(await codeOf(() => generateEcKeyPair('P-192' as CurveName))).to.equal('UNSUPPORTED');
    expect(await codeOf(() => ecPrivateKeyInfo('P-192' as CurveName, Buffer.of(1)))).to.equal('UNSUPPORTED');
  });
});

describe('malformed keys', () => {
  const codes = ['INVALID_KEY', 'INVALID_POINT', 'UNSUPPORTED'];

  it('are refused at every truncation, and with trailing bytes', async () => {
    const pairs = [await generateRsaKeyPair(512, Buffer.of(3)), await generateEcKeyPair('P-256')];
    for (const { pkcs8, spki } of pairs) {
      for (let length = 0; length < pkcs8.length; length++) {
        expect(await codeOf(() => importPrivateKey(pkcs8.subarray(0, length)))).to.equal('INVALID_KEY');
      }
      for (let length = 0; length < spki.length; length++) {
        expect(await codeOf(() => importPublicKey(spki.subarray(0, length)))).to.equal('INVALID_KEY');
      }
      expect(await codeOf(() => importPrivateKey(Buffer.concat([pkcs8, Buffer.of(0)])))).to.equal(
        'INVALID_KEY',
      );
      expect(await codeOf(() => importPublicKey(Buffer.concat([spki, Buffer.of(0)])))).to.equal(
        'INVALID_KEY',
      );
      expect(await codeOf(() => importPublicKey(pkcs8))).to.be.oneOf(codes);
      expect(await codeOf(() => importPrivateKey(spki))).to.be.oneOf(codes);
    }
  });

  it('do no harm at any changed byte', async () => {
    const pairs = [await generateRsaKeyPair(512, Buffer.of(3)), await generateEcKeyPair('P-256')];
    for (const { pkcs8 } of pairs) {
      for (let at = 0; at < pkcs8.length; at++) {
        for (const value of [0, 0x7f, 0x80, 0x84, 0xff]) {
          const changed = Buffer.from(pkcs8);
          changed[at] = value;
          expect(await codeOf(() => importPrivateKey(changed).destroy())).to.be.oneOf([...codes, 'none']);
        }
      }
    }
  });

  it('are unsupported when of another algorithm', async () => {
    const ed25519 = node.generateKeyPairSync('ed25519');
    const pss = node.generateKeyPairSync('rsa-pss', { modulusLength: 1024 });
    for (const { privateKey, publicKey } of [ed25519, pss]) {
      const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
      const spki = publicKey.export({ format: 'der', type: 'spki' });
      expect(await codeOf(() => importPrivateKey(pkcs8))).to.equal('UNSUPPORTED');
      expect(await codeOf(() => importPublicKey(spki))).to.equal('UNSUPPORTED');
    }
    const ec = await generateEcKeyPair('P-256');
    expect(await codeOf(() => rsaPrivateComponents(ec.pkcs8))).to.equal('INVALID_KEY');
    expect(await codeOf(() => rsaPublicComponents(ec.spki))).to.equal('INVALID_KEY');
  });
});
