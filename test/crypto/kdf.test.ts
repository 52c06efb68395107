import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { expect } from 'chai';
import {
  ecdhX963,
  ecPublicComponents,
  generateEcKeyPair,
  type HashName,
  importPrivateKey,
  x963Kdf,
} from '../../src/crypto/index.js';
import { hex, noBytes, privateDer, publicDer } from './support.js';

const secret = Buffer.from(Array.from({ length: 32 }, (_, at) => at));

/** [hash, the first 16 bytes without shared information], by Python's cryptography 48.0, X963KDF. */
const withoutInfo: readonly [HashName, string][] = [
  ['sha1', 'a98ffb7caef3bd518fb7bc1b6cc89dbd'],
  ['sha224', '37a110debf5a55bf13e926f6cad063a3'],
  ['sha256', '04a6950a06d3e3308ad7d3606ef810eb'],
  ['sha384', 'f989648680294f630df4e6704b0b12e8'],
  ['sha512', 'a95de8248fa9711542ee3eb06d0bfce7'],
];

describe('the KDF of ANSI X9.63', () => {
  // NIST CAVS, ansx963_2001.rsp, first example of SHA-1 and of SHA-256.
  it('answers as NIST says', () => {
    const derive = (hash: HashName, z: string) => x963Kdf(hash, hex(z), noBytes, 16).toString('hex');
    expect(derive('sha1', '1c7d7b5f0597b03d06a018466ed1a93e30ed4b04dc64ccdd')).to.equal(
      'bf71dffd8f4d99223936beb46fee8ccc',
    );
    expect(derive('sha256', '96c05619d56c328ab95fe84b18264b08725b85e33fd34f08')).to.equal(
      '443024c3dae66b95e6f5670601558f71',
    );
  });

  for (const [hash, expected] of withoutInfo) {
    it(`answers as others do with ${hash}`, () => {
      expect(x963Kdf(hash, secret, noBytes, 16).toString('hex')).to.equal(expected);
    });
  }

  it('goes on over several blocks, and mixes shared information in', () => {
    // By Python's cryptography 48.0.
    const expected =
      '35e25f5b250849d60d0403920daf2a27821f9bc80668c26a9d0bed0e2502e31feeb75f4a4dce845ff795457c8c0453ad' +
      '86c269cf3d5ffd73073a4b5feeecc983edd367fd9feaff773a86d761e5fdceba714bbccde244184ba0e68d5f32ca206d' +
      '007f36fd';
    expect(x963Kdf('sha256', secret, Buffer.from('shared'), 100).toString('hex')).to.equal(expected);
    expect(x963Kdf('sha256', secret, Buffer.from('shared'), 33).toString('hex')).to.equal(
      expected.slice(0, 66),
    );
  });

  it('gets the secret of ECDH as node:crypto computes it', async () => {
    for (const curve of ['P-224', 'P-256', 'secp256k1', 'P-384', 'P-521'] as const) {
      const [own, peer] = [await generateEcKeyPair(curve), await generateEcKeyPair(curve)];
      const derived = await ecdhX963(
        importPrivateKey(own.pkcs8),
        ecPublicComponents(peer.spki).point,
        'sha512',
        Buffer.from('info'),
        80,
      );
      const z = diffieHellman({
        privateKey: createPrivateKey(privateDer(own)),
        publicKey: createPublicKey(publicDer(peer)),
      });
      expect(derived).to.deep.equal(x963Kdf('sha512', z, Buffer.from('info'), 80));
    }
  });
});
