import { expect } from 'chai';
import { RecordCache } from '../../src/hsm/record-cache.js';
import { seeded } from '../support/seeded.js';

describe('a cache of records', () => {
  it('has what was put into it last, or nothing', () => {
    const below = seeded(5);
    const cache = new RecordCache(2);
    const model = new Map<number, Buffer>();
    let found = 0;
    for (let round = 0; round < 50_000; round++) {
      const handle = 2 ** 33 + below(500);
      const action = below(4);
      if (action === 0) {
        const record = Buffer.alloc(1 + below(1100), below(256));
        cache.delete(handle);
        cache.set(handle, record);
        model.set(handle, record);
      } else if (action === 1) {
        cache.delete(handle);
        model.delete(handle);
      } else {
        const record = cache.get(handle);
        if (record === undefined) continue;
        found++;
        expect(model.get(handle)?.equals(record)).to.equal(true);
      }
    }
    expect(found).to.be.greaterThan(5000);
  });

  it('keeps as many of the last ones as there is room for', () => {
    const cache = new RecordCache(2);
    for (let handle = 1; handle <= 5000; handle++) cache.set(handle, Buffer.alloc(90, handle));
    expect(cache.get(5000)).to.deep.equal(Buffer.alloc(90, 5000));
    expect(cache.get(4400)).to.deep.equal(Buffer.alloc(90, 4400));
    expect(cache.get(3000)).to.equal(undefined);
    cache.set(1, Buffer.alloc(2000));
    expect(cache.get(1)).to.equal(undefined);
  });
});
