import { expect } from 'chai';
import {
  digest,
  ecdhDerive,
  ecdsaVerify,
  ecPrivateKeyInfo,
  ecPublicComponents,
  importPrivateKey,
  importPublicKey,
} from '../../src/crypto/index.js';
import { bytesOf, hashOf, vectors } from '../support/wycheproof.js';
import { codeOf } from './support.js';

describe('Wycheproof: EC', () => {
  const files = ['secp224r1_sha256', 'secp256r1_sha256', 'secp384r1_sha384', 'secp521r1_sha512'];
  for (const name of files) {
    vectors(`ecdsa_${name}_p1363_test.json`, async (test, group) => {
      const key = importPublicKey(bytesOf(group, 'publicKeyDer'));
      const hash = digest(hashOf(group['sha']), bytesOf(test, 'msg'));
      expect(await ecdsaVerify(key, hash, bytesOf(test, 'sig'))).to.equal(test.result === 'valid');
    });
  }

  vectors('ecdh_secp256r1_test.json', async (test) => {
    const derive = async () => {
      const peer = ecPublicComponents(bytesOf(test, 'public'));
      const key = importPrivateKey(ecPrivateKeyInfo('P-256', bytesOf(test, 'private')));
      return ecdhDerive(key, peer.point);
    };
    const compressed = test.flags.some((flag) => flag.startsWith('Compressed'));
    if (test.result === 'valid' || (test.result === 'acceptable' && compressed)) {
      expect(await derive()).to.deep.equal(bytesOf(test, 'shared'));
      return;
    }
    // "Acceptable" besides are explicit curve parameters and BER, none of which we take.
    expect(await codeOf(derive)).to.be.oneOf(['INVALID_KEY', 'INVALID_POINT', 'UNSUPPORTED']);
  });
});
