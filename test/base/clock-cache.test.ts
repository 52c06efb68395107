import { expect } from 'chai';
import { ClockCache } from '../../src/base/clock-cache.js';
import { seeded } from '../support/seeded.js';

describe('a cache of what was used last', () => {
  it('has what was put into it last, or nothing, and never more than it holds', () => {
    const below = seeded(1);
    const cache = new ClockCache<number, string>(8);
    const model = new Map<number, string>();
    for (let round = 0; round < 20_000; round++) {
      const key = below(20);
      const action = below(4);
      if (action === 0) {
        cache.set(key, `${round}`);
        model.set(key, `${round}`);
        expect(cache.get(key)).to.equal(`${round}`);
      } else if (action === 1) {
        cache.delete(key);
        model.delete(key);
        expect(cache.get(key)).to.equal(undefined);
      } else {
        expect([undefined, model.get(key)]).to.include(cache.get(key));
      }
      const kept = Array.from({ length: 20 }, (_, at) => cache.get(at)).filter(
        (value) => value !== undefined,
      );
      expect(kept.length).to.be.at.most(8);
    }
  });

  it('keeps what is used while others come', () => {
    const cache = new ClockCache<number, number>(8);
    for (let key = 0; key < 100; key++) {
      cache.set(key, key);
      expect(cache.get(0), `after ${key}`).to.equal(0);
    }
    expect(cache.get(1)).to.equal(undefined);
    expect(cache.get(99)).to.equal(99);
  });
});
