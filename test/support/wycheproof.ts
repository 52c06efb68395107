import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { HashName } from '../../src/crypto/index.js';

/* Google's and C2SP's test vectors, https://github.com/C2SP/wycheproof. */

export const hex = (text: string) => Buffer.from(text.replace(/\s+/g, ''), 'hex');

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
 * there. `check` throws when the result is not the one the vector asks for. For a vector that does not apply it returns
 * the reason; `passedOver` says how often each reason may be given.
 */
export function vectors(
  file: string,
  check: (test: VectorTest, group: VectorGroup) => unknown,
  passedOver: { readonly [reason: string]: number } = {},
): void {
  const path = `${folder}/${file}`;
  if (!existsSync(path)) {
    it(`${file} (skipped: no Wycheproof vectors, set CLOUDHSM_LOCAL_VECTORS)`, function () {
      this.skip();
    });
    return;
  }
  it(file, async () => {
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: VectorGroup[] };
    const reasons: Record<string, number> = {};
    for (const group of testGroups) {
      for (const test of group.tests) {
        try {
          const reason = await check(test, group);
          if (typeof reason === 'string') reasons[reason] = (reasons[reason] ?? 0) + 1;
        } catch (cause) {
          throw new Error(`${file} tcId ${test.tcId} (${test.result}, ${test.flags}): ${cause}`, { cause });
        }
      }
    }
    expect(reasons, 'vectors passed over').to.deep.equal(passedOver);
  });
}
