import { expect } from 'chai';
import {
  digest,
  importPrivateKey,
  importPublicKey,
  type RsaEncryptionPadding,
  rsaDecrypt,
  rsaPrivateComponents,
  rsaPrivateKeyInfo,
  rsaSign,
  rsaVerify,
} from '../../src/crypto/index.js';
import { bytesOf, hashOf, type VectorGroup, vectors } from '../support/wycheproof.js';
import { codeOf, digestInfo } from './support.js';

describe('Wycheproof: RSA', () => {
  const pkcs1 = { scheme: 'pkcs1' } as const;

  vectors('rsa_signature_2048_sha256_test.json', (test, group) => {
    const input = digestInfo('sha256', digest('sha256', bytesOf(test, 'msg')));
    const key = importPublicKey(bytesOf(group, 'publicKeyDer'));
    // "Acceptable" is a DigestInfo without the NULL parameter: another input, so not a signature of this one.
    expect(rsaVerify(key, pkcs1, input, bytesOf(test, 'sig'))).to.equal(test.result === 'valid');
  });

  vectors('rsa_pkcs1_2048_sig_gen_test.json', async (test, group) => {
    const hash = hashOf(group['sha']);
    const input = digestInfo(hash, digest(hash, bytesOf(test, 'msg')));
    const signature = bytesOf(test, 'sig');
    const key = importPrivateKey(bytesOf(group, 'privateKeyPkcs8'));
    // "Acceptable" are SHA-1 and small exponents, which are the caller's policy; the signature is the same.
    expect(await rsaSign(key, pkcs1, input)).to.deep.equal(signature);
    expect(rsaVerify(key, pkcs1, input, signature)).to.equal(true);
  });

  vectors('rsa_pss_2048_sha256_mgf1_32_test.json', (test, group) => {
    const padding = { scheme: 'pss', hash: 'sha256', mgfHash: 'sha256', saltLengthBytes: 32 } as const;
    const key = importPublicKey(bytesOf(group, 'publicKeyDer'));
    const input = digest('sha256', bytesOf(test, 'msg'));
    expect(rsaVerify(key, padding, input, bytesOf(test, 'sig'))).to.equal(test.result === 'valid');
  });

  for (const file of ['rsa_oaep_2048_sha1_mgf1sha1_test.json', 'rsa_oaep_2048_sha256_mgf1sha256_test.json']) {
    vectors(file, async (test, group) => {
      const padding: RsaEncryptionPadding = {
        scheme: 'oaep',
        hash: hashOf(group['sha']),
        mgfHash: hashOf(group['mgfSha']),
        label: bytesOf(test, 'label'),
      };
      const key = importPrivateKey(bytesOf(group, 'privateKeyPkcs8'));
      const decrypt = () => rsaDecrypt(key, padding, bytesOf(test, 'ct'));
      if (test.result === 'valid') {
        expect(await decrypt()).to.deep.equal(bytesOf(test, 'msg'));
      } else {
        expect(await codeOf(decrypt)).to.be.oneOf(['DECRYPTION_FAILED', 'INPUT_LENGTH']);
      }
    });
  }

  vectors('rsa_pkcs1_2048_test.json', async (test, group) => {
    const key = importPrivateKey(bytesOf(group, 'privateKeyPkcs8'));
    const decrypt = async () => rsaDecrypt(key, pkcs1, bytesOf(test, 'ct'));
    if (test.result === 'valid') {
      expect(await decrypt()).to.deep.equal(bytesOf(test, 'msg'));
      return;
    }
    // OpenSSL from 3.2 on answers broken padding with random plaintext.
    const plaintext = await decrypt().catch((error) => error.code);
    if (Buffer.isBuffer(plaintext)) expect(plaintext).not.to.deep.equal(bytesOf(test, 'msg'));
    else expect(plaintext).to.be.oneOf(['DECRYPTION_FAILED', 'INPUT_LENGTH']);
  });

  const recovered = new Set<VectorGroup>();
  vectors('rsa_pkcs1_2048_sig_gen_test.json', (_test, group) => {
    if (recovered.has(group)) return;
    recovered.add(group);
    const given = rsaPrivateComponents(bytesOf(group, 'privateKeyPkcs8'));
    const { modulus, publicExponent, privateExponent } = given;
    const found = rsaPrivateComponents(rsaPrivateKeyInfo({ modulus, publicExponent, privateExponent }));
    const primes = (key: typeof given) => [key.prime1, key.prime2].sort(Buffer.compare);
    expect(primes(found)).to.deep.equal(primes(given));
  });
});
