import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CryptoError, type HashName, type KeyPairDer } from '../../src/crypto/index.js';

export const hex = (text: string) => Buffer.from(text.replace(/\s+/g, ''), 'hex');
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

export interface VectorTest {
  tcId: number;
  comment: string;
  flags: string[];
  result: 'valid' | 'acceptable' | 'invalid';
  [field: string]: unknown;
}

export interface VectorGroup {
  tests: VectorTest[];
  [field: string]: unknown;
}

const defaultFolder = fileURLToPath(new URL('../../../../shared/vectors/wycheproof/', import.meta.url));
const folder = process.env['CLOUDHSM_LOCAL_VECTORS'] ?? defaultFolder;

/** A hex field of a vector as bytes. */
export const bytesOf = (from: Record<string, unknown>, field: string) => hex(from[field] as string);

/** Wycheproof's name of a hash, SHA-256, as ours. */
export const hashOf = (name: unknown) => String(name).replace('-', '').toLowerCase() as HashName;

/**
 * One mocha test that runs `check` over every vector of a Wycheproof file; skipped when the file is not
 * there. `check` throws when the result is not the one the vector asks for.
 */
export function vectors(file: string, check: (test: VectorTest, group: VectorGroup) => unknown): void {
  const path = `${folder}/${file}`;
  if (!existsSync(path)) {
    it(`${file} (skipped: no Wycheproof vectors, set CLOUDHSM_LOCAL_VECTORS)`, function () {
      this.skip();
    });
    return;
  }
  it(file, async () => {
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: VectorGroup[] };
    for (const group of testGroups) {
      for (const test of group.tests) {
        try {
          await check(test, group);
        } catch (cause) {
          throw new Error(`${file} tcId ${test.tcId} (${test.result}, ${test.flags}): ${cause}`, { cause });
        }
      }
    }
  });
}
