import { expect } from 'chai';
import { HandleTable } from '../../src/hsm/handle-table.js';
import { seeded } from '../support/seeded.js';

describe('a table from hashes to handles', () => {
  it('has what was added and not removed, in ascending order', () => {
    const below = seeded(2);
    const table = new HandleTable();
    const model = new Map<number, Set<number>>();
    for (let round = 0; round < 30_000; round++) {
      // The same low bits, so that hashes run into each other.
      const hash = below(50) * 2 ** 20 + below(4);
      const handle = 2 ** 40 + below(6);
      const handles = model.get(hash) ?? new Set();
      model.set(hash, handles);
      if (below(3) === 0) {
        table.remove(hash, handle);
        handles.delete(handle);
      } else {
        table.add(hash, handle);
        handles.add(handle);
      }
      if (round % 500 === 0)
        for (const [known, expected] of model)
          expect(table.find(known)).to.deep.equal([...expected].sort((a, b) => a - b));
    }
  });

  it('does not say which they are where there are many, and stays quick', () => {
    const table = new HandleTable();
    for (let handle = 1; handle <= 200_000; handle++) table.add(7, handle);
    table.add(8, 5);
    expect(table.find(7)).to.equal(undefined);
    expect(table.find(8)).to.deep.equal([5]);
    for (let handle = 1; handle <= 200_000; handle++) table.remove(7, handle);
    expect(table.find(7)).to.equal(undefined);
    expect(table.find(9)).to.deep.equal([]);
  });
});
