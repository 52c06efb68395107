import { expect } from 'chai';
import { inBatches } from '../../src/tools/batches.js';

describe('long work of a tool', () => {
  const things = Array.from({ length: 150 }, (_, at) => at);

  it('says how far it is, and nothing more when it is done', async () => {
    const said: (string | undefined)[] = [];
    let most = 0;
    let underWay = 0;
    const done = await inBatches(things, 'keys', { progress: (text) => said.push(text) }, async (thing) => {
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      underWay--;
      return thing * 2;
    });
    expect(done).to.deep.equal(things.map((thing) => thing * 2));
    expect(said).to.deep.equal(['64 of 150 keys', '128 of 150 keys', undefined]);
    expect(most).to.equal(64);
  });

  it('leaves no line behind when it fails', async () => {
    const said: (string | undefined)[] = [];
    const failing = inBatches(things, 'keys', { progress: (text) => said.push(text) }, async (thing) => {
      if (thing === 100) throw new Error('it is gone');
    });
    await failing.then(
      () => expect.fail('it went on'),
      (error: Error) => expect(error.message).to.equal('it is gone'),
    );
    expect(said).to.deep.equal(['64 of 150 keys', undefined]);
  });
});
