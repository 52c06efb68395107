import { expect } from 'chai';
import { FrameSplitter, framed } from '../../src/wire/frames.js';

describe('frames on a stream', () => {
  const frames = [5, 0, 1, 300, 0, 70_000, 2].map((length, at) => Buffer.alloc(length, at + 1));
  const stream = Buffer.concat(frames.map(framed));

  for (const pieceBytes of [1, 2, 3, 7, 64, 1000, stream.length])
    it(`are whole again, and as they were, after pieces of ${pieceBytes}`, () => {
      const splitter = new FrameSplitter(70_000);
      const found: Buffer[] = [];
      for (let at = 0; at < stream.length; at += pieceBytes) {
        splitter.push(stream.subarray(at, at + pieceBytes));
        for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) found.push(frame);
      }
      expect(found).to.deep.equal(frames);
      expect(splitter.holdsPart).to.equal(false);
    });

  it('are refused behind others when one is longer than it may be', () => {
    const splitter = new FrameSplitter(10);
    splitter.push(Buffer.concat([framed(Buffer.alloc(10)), framed(Buffer.alloc(11))]));
    expect(splitter.next()).to.have.length(10);
    expect(() => splitter.next()).to.throw('a frame of 11 bytes');
  });
});
