import { CryptoError, type HashName, type KeyPairDer } from '../../src/crypto/index.js';
import { hex } from '../support/wycheproof.js';

export { hex };
export const ascii = (text: string) => Buffer.from(text, 'latin1');
export const noBytes = Buffer.alloc(0);

/** The code of the CryptoError that `attempt` throws or rejects with; 'none' when it succeeds. */
export async function codeOf(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
    return 'none';
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
}

/** node:crypto key objects of a generated pair, the independent check. */
export const privateDer = (pair: KeyPairDer) => ({ key: pair.pkcs8, format: 'der', type: 'pkcs8' }) as const;
export const publicDer = (pair: KeyPairDer) => ({ key: pair.spki, format: 'der', type: 'spki' }) as const;

/** DigestInfo (RFC 8017 section 9.2) of a hash value, as the signer of PKCS#1 v1.5 hands it in. */
export function digestInfo(hash: HashName, value: Buffer): Buffer {
  const prefixes: Record<HashName, string> = {
    sha1: '3021300906052b0e03021a05000414',
    sha224: '302d300d06096086480165030402040500041c',
    sha256: '3031300d060960864801650304020105000420',
    sha384: '3041300d060960864801650304020205000430',
    sha512: '3051300d060960864801650304020305000440',
  };
  return Buffer.concat([hex(prefixes[hash]), value]);
}
