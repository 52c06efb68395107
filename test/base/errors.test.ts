import { expect } from 'chai';
import { describeError } from '../../src/base/errors.js';

describe('an error', () => {
  it('is described with its causes, and what is handed on in its own words once', () => {
    const cause = new Error('the disk is full');
    const same = new Error(cause.message, { cause });
    expect(describeError(new Error('nothing is kept', { cause: same }))).to.equal(
      'nothing is kept: the disk is full',
    );
  });
});
