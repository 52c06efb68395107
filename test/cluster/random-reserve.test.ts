import { expect } from 'chai';
import { RandomReserve } from '../../src/cluster/random-reserve.js';

/** Bytes that tell where they come from: the first block is all 1, the second all 2. */
class CountingHsm {
  readonly blocks: Buffer[] = [];
  readonly ask = async (lengthBytes: number): Promise<Buffer> => {
    const block = Buffer.alloc(lengthBytes, this.blocks.length + 1);
    this.blocks.push(block);
    return block;
  };

  get asked(): number[] {
    return this.blocks.map(({ length }) => length);
  }
}

describe('random bytes of an HSM elsewhere', () => {
  let nowMs: number;
  let hsm: CountingHsm;
  let reserve: RandomReserve;
  const take = async (lengthBytes: number): Promise<Buffer> => reserve.take(lengthBytes, hsm.ask);

  beforeEach(() => {
    nowMs = 1000;
    hsm = new CountingHsm();
    reserve = new RandomReserve(() => nowMs);
  });

  afterEach(() => reserve.discard());

  it('are asked for one by one by a program that asks now and then', async () => {
    for (let times = 0; times < 3; times++) {
      expect(await take(32)).to.have.length(32);
      nowMs += 50;
    }
    expect(hsm.asked).to.deep.equal([32, 32, 32]);
  });

  it('come in a block when they are asked for again and again', async () => {
    await take(32);
    for (let times = 0; times < 4096 / 32; times++) expect(await take(32)).to.deep.equal(Buffer.alloc(32, 2));
    expect(hsm.asked).to.deep.equal([32, 4096]);
    expect(await take(32)).to.deep.equal(Buffer.alloc(32, 3));
  });

  it('come in blocks of some of what is asked for', async () => {
    for (let times = 0; times < 1 + 16; times++) await take(1024);
    expect(hsm.asked).to.deep.equal([1024, 16 * 1024]);
  });

  it('are cleansed where they came in', async () => {
    await take(32);
    await take(32);
    expect(hsm.blocks[1]!.every((byte) => byte === 0)).to.equal(true);
  });

  it('are asked for as many as they are when they are many', async () => {
    await take(1025);
    await take(100_000);
    expect(hsm.asked).to.deep.equal([1025, 100_000]);
  });

  it('of before are handed out no more after they were discarded', async () => {
    await take(32);
    await take(32);
    reserve.discard();
    expect(await take(32)).to.deep.equal(Buffer.alloc(32, 3));
  });

  it('that were on their way when the others were discarded are kept for nobody', async () => {
    await take(32);
    const late = take(32);
    reserve.discard();
    expect(await late).to.deep.equal(Buffer.alloc(32, 2));
    expect(await take(32)).to.deep.equal(Buffer.alloc(32, 3));
  });

  it('are handed out once to threads that ask at the same time', async () => {
    let next = 0;
    const numbered = async (lengthBytes: number): Promise<Buffer> => {
      const bytes = Buffer.alloc(lengthBytes);
      for (let at = 0; at < lengthBytes; at += 4) bytes.writeUInt32LE(next++, at);
      return bytes;
    };
    const given: Buffer[] = [];
    for (let round = 0; round < 20; round++)
      given.push(...(await Promise.all([1, 2, 3].map(() => reserve.take(64, numbered)))));
    const numbers = given.flatMap((bytes) =>
      Array.from({ length: 16 }, (_, at) => bytes.readUInt32LE(4 * at)),
    );
    expect(new Set(numbers).size).to.equal(numbers.length);
  });
});
