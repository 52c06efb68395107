import { expect } from 'chai';
import { randomBytes } from '../../src/crypto/index.js';

describe('random bytes', () => {
  // Small requests share what OpenSSL was asked for at once, and the reserve is refilled in the middle of these.
  it('are given away once, however many are asked for', () => {
    const windows = new Set<string>();
    let expected = 0;
    for (let round = 0; round < 100; round++) {
      for (const lengthBytes of [8, 12, 16, 31, 32, 63, 64, 65, 500, 512, 513]) {
        const bytes = randomBytes(lengthBytes);
        expect(bytes).to.have.length(lengthBytes);
        // Of eight bytes no two are alike by chance.
        for (let at = 0; at + 8 <= lengthBytes; at++, expected++)
          windows.add(bytes.toString('hex', at, at + 8));
      }
    }
    expect(windows.size).to.equal(expected);
  });

  it('are none where none are asked for', () => {
    expect(randomBytes(0)).to.have.length(0);
  });
});
