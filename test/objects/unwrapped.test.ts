import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { buildUnwrapped } from '../../src/objects/unwrapped.js';
import { codeOf } from '../support/codes.js';

/** PKCS#8 of an RSA key made elsewhere. */
function pkcs8(modulusLength: number, publicExponent: number): Buffer {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent });
  return privateKey.export({ format: 'der', type: 'pkcs8' });
}

describe('unwrapped RSA keys', () => {
  const unwrap = (plain: Buffer) => codeOf(() => void buildUnwrapped('rsaPrivate', new Map(), plain));

  it('are of the kinds that the HSM has: 2048 to 4096 bits in steps of 256, e of 65537 or more (reference section 8)', async () => {
    expect(await unwrap(pkcs8(2304, 65537))).to.equal('CKR_OK');
    expect(await unwrap(pkcs8(2048, 65539))).to.equal('CKR_OK');
    for (const [bits, exponent] of [
      [2048, 3],
      [2048, 257],
      [2112, 65537],
      [1024, 65537],
    ] as const)
      expect(await unwrap(pkcs8(bits, exponent)), `${bits}, ${exponent}`).to.equal('CKR_WRAPPED_KEY_INVALID');
  });
});
