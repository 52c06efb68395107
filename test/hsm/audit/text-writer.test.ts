import { expect } from 'chai';
import { TextWriter } from '../../../src/hsm/audit/text-writer.js';
import { seeded } from '../../support/seeded.js';

describe('text that is put together', () => {
  it('has integers as JSON has them, whatever their length', () => {
    const writer = new TextWriter();
    const number = seeded(3);
    const numbers = [0, 9, 10, 999_999_999, 1e9, 1e9 + 1, 2 ** 32, 1e15, 1_795_426_850_123_456, 2 ** 53 - 1];
    for (let bits = 1; bits <= 53; bits++)
      for (let i = 0; i < 50; i++) numbers.push(Math.floor((number(2 ** 31) / 2 ** 31) * 2 ** bits));
    for (const value of numbers) {
      expect(writer.restart().integer(',', value).written().toString()).to.equal(`,${JSON.stringify(value)}`);
    }
  });

  it('has text as UTF-8, and what was written before it, however much that is', () => {
    const writer = new TextWriter();
    const parts = ['a', 'é', '"', '\u0000', '漢字', '🔑', 'x'.repeat(10_000), '€'.repeat(9_000), ''];
    let expected = '';
    for (let round = 0; round < 30; round++) {
      for (const part of parts) {
        writer.text(part).integer('[', round);
        expected += `${part}[${round}`;
      }
    }
    expect(writer.written().toString()).to.equal(expected);
    expect(writer.restart().text('next').written().toString()).to.equal('next');
  });
});
