import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect } from 'chai';
import { handleOfPem, type PublicHalf, referencePem } from '../../src/tools/reference-pem.js';

const HANDLE = 0x8001_0041;

const fromJwk = (value: string | undefined): Buffer => Buffer.from(value!, 'base64url');

/** CKA_EC_PARAMS (an OID) of the curves that CloudHSM's engine signs with. */
const curves = [
  ['P-256', '06082a8648ce3d030107', 32],
  ['P-384', '06052b81040022', 48],
  ['secp256k1', '06052b8104000a', 32],
] as const;

function ecHalf(publicKey: KeyObject, parameters: string, orderBytes: number): PublicHalf {
  const { x, y } = publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.of(4), fromJwk(x), fromJwk(y)]);
  const der = Buffer.concat([Buffer.of(4, point.length), point]);
  return { type: 'EC', parameters: Buffer.from(parameters, 'hex'), point: der, orderBytes };
}

const publicOf = (pem: string) => createPublicKey(createPrivateKey(pem)).export({ format: 'jwk' });

describe('key files that refer to a key of the HSM', () => {
  it('are private keys to OpenSSL, with the public half of the RSA key', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = publicKey.export({ format: 'jwk' });
    const half = { type: 'RSA', modulus: fromJwk(jwk.n), publicExponent: fromJwk(jwk.e) } as const;
    const pem = referencePem(HANDLE, half);
    expect(publicOf(pem)).to.deep.equal(jwk);
    expect(handleOfPem(pem)).to.equal(HANDLE);
  });

  for (const [namedCurve, parameters, orderBytes] of curves) {
    it(`are private keys to OpenSSL, with the public half of the ${namedCurve} key`, () => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve });
      const pem = referencePem(HANDLE, ecHalf(publicKey, parameters, orderBytes));
      expect(publicOf(pem)).to.deep.equal(publicKey.export({ format: 'jwk' }));
      expect(handleOfPem(pem)).to.equal(HANDLE);
    });
  }

  it('are told from real keys and from what is none', () => {
    const real = [
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' }),
    ];
    const broken = '-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n';
    for (const text of [...real, broken, '', 'x'.repeat(100_000)])
      expect(handleOfPem(text.toString())).to.equal(undefined);
  });
});
