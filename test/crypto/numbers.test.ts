import { expect } from 'chai';
import { bitLength, withoutLeadingZeros } from '../../src/crypto/index.js';

describe('big-endian numbers', () => {
  const cases: [bytes: number[], bits: number, significant: number[]][] = [
    [[], 0, []],
    [[0, 0], 0, []],
    [[1], 1, [1]],
    [[0, 0x80], 8, [0x80]],
    [[0, 0, 1, 0, 1], 17, [1, 0, 1]],
    [[0xff, 0], 16, [0xff, 0]],
  ];
  for (const [bytes, bits, significant] of cases) {
    it(`have ${bits} bits: [${bytes.join(', ')}]`, () => {
      expect(bitLength(Buffer.from(bytes))).to.equal(bits);
      expect(withoutLeadingZeros(Buffer.from(bytes))).to.deep.equal(Buffer.from(significant));
    });
  }
});
