import fs, {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Journal } from '../../src/store/journal.js';
import type { Change } from '../../src/store/record-store.js';

/** docs/STORAGE.md, "The journal": which frames count after a crash. */
describe('the journal', () => {
  const { write } = fs;
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
    file = join(folder, 'journal.0');
  });
  afterEach(() => {
    fs.write = write;
    rmSync(folder, { recursive: true });
  });

  const change = (text: string, lengthBytes = 20): Change => ({
    table: 'objects',
    key: Buffer.from(text),
    value: Buffer.alloc(lengthBytes, text),
  });
  const append = (journal: Journal, ...changes: Change[]): Promise<unknown> =>
    new Promise((resolve) => {
      if (!journal.append(changes, resolve)) resolve('full');
    });
  const found = (applied = 0): string[] => {
    const { journal, frames } = Journal.open(folder, applied);
    journal.close();
    // Behind the byte of the table, which is 3.
    return frames.flatMap((frame) => frame.changes().map(({ key }) => key.toString('utf8', 1)));
  };
  async function written(journal: Journal, ...texts: string[]): Promise<void> {
    for (const text of texts) expect(await append(journal, change(text))).to.equal(undefined);
  }

  it('makes nothing before the first write, and files that only their owner reads', async () => {
    const { journal, frames } = Journal.open(folder, 0);
    expect(frames).to.deep.equal([]);
    expect(fs.readdirSync(folder)).to.deep.equal([]);
    await written(journal, 'a');
    journal.close();
    expect(fs.readdirSync(folder)).to.deep.equal(['journal.0']);
    expect(statSync(file).mode & 0o777).to.equal(0o600);
  });

  it('gives back what was written after what is in LMDB: records and removals, in order', async () => {
    const { journal } = Journal.open(folder, 7);
    await written(journal, 'a', 'b');
    const removal = { ...change('a'), value: undefined };
    expect(await append(journal, change('c'), removal)).to.equal(undefined);
    journal.close();
    const { frames } = Journal.open(folder, 7);
    expect(frames.map(({ sequence, after }) => [sequence, after])).to.deep.equal([
      [8, 7],
      [9, 8],
      [10, 9],
    ]);
    expect(frames[2]!.changes().map(({ key, value }) => ({ key, value }))).to.deep.equal([
      { key: Buffer.from('\x03c'), value: change('c').value },
      { key: Buffer.from('\x03a'), value: undefined },
    ]);
    expect(found(9)).to.deep.equal(['c', 'a']);
    expect(found(10)).to.deep.equal([]);
  });

  it('ends before a frame that is torn, wherever, and goes on in its place', async () => {
    const { journal } = Journal.open(folder, 0);
    await written(journal, 'a', 'b');
    expect(await append(journal, change('long', 5000))).to.equal(undefined);
    journal.close();
    const whole = readFileSync(file);
    const begin = 2 * 4096;
    for (let length = begin; length < begin + 5100; length += length % 512 < 64 ? 1 : 37) {
      truncateSync(file, length);
      expect(found(), `cut at ${length}`).to.deep.equal(
        length < begin + 5050 ? ['a', 'b'] : ['a', 'b', 'long'],
      );
      writeFileSync(file, whole);
    }
    for (let at = begin; at < begin + 5050; at++) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x10;
      writeFileSync(file, damaged);
      expect(found(), `changed at ${at}`).to.deep.equal(['a', 'b']);
    }
    const again = Journal.open(folder, 0);
    await written(again.journal, 'c');
    again.journal.close();
    expect(found()).to.deep.equal(['a', 'b', 'c']);
  });

  it('does not take for new what is left of an earlier turn behind its end', async () => {
    const { journal } = Journal.open(folder, 0);
    await written(journal, 'a', 'b', 'c');
    journal.release(3);
    await written(journal, 'd');
    expect(statSync(file).size).to.equal(3 * 4096);
    journal.release(4);
    await written(journal, 'e');
    journal.close();
    expect(found(4)).to.deep.equal(['e']);
    // The crash came between LMDB's commit and the next frame.
    expect(found(5)).to.deep.equal([]);
  });

  it('is refused when a frame is damaged behind which others are: they have been acknowledged', async () => {
    const { journal } = Journal.open(folder, 0);
    await written(journal, 'a', 'b', 'c');
    journal.close();
    const whole = readFileSync(file);
    for (const at of [4096, 4096 + 20, 4096 + 60]) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 1;
      writeFileSync(file, damaged);
      expect(() => found())
        .to.throw('was damaged')
        .with.property('code', 'CORRUPT_STORE');
    }
  });

  it('takes what it is given from anywhere for no frame', () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.alloc(9000),
      Buffer.alloc(9000, 0xff),
      Buffer.from('no journal'),
    ]) {
      writeFileSync(file, bytes);
      expect(found()).to.deep.equal([]);
    }
  });

  for (const [what, answer] of [
    ['ENOSPC', { error: Object.assign(new Error('no space'), { code: 'ENOSPC' }), written: 0 }],
    ['fewer bytes written', { error: null, written: 100 }],
  ] as const) {
    it(`says so when a frame is not written (${what}), does not find it again, and puts the next in its place`, async () => {
      const { journal } = Journal.open(folder, 0);
      await written(journal, 'a');
      const real = fs.write;
      // The worst of disks: it has the bytes, and says that it has not.
      (fs as { write: unknown }).write = (...words: unknown[]) => {
        fs.write = real;
        const done = words.pop() as (error: unknown, written: number) => void;
        Reflect.apply(real, fs, [...words, () => done(answer.error, answer.written)]);
      };
      expect(await append(journal, change('not written', 9000))).to.be.instanceOf(Error);
      expect(found()).to.deep.equal(['a']);
      await written(journal, 'b');
      expect(found()).to.deep.equal(['a', 'b']);
      journal.close();
    });
  }

  it('takes the later one of two frames in the same place: the first was reported as failed', async () => {
    const { journal } = Journal.open(folder, 0);
    await written(journal, 'a', 'b');
    journal.close();
    const failed = readFileSync(file).subarray(4096);
    truncateSync(file, 4096);
    const { journal: other } = Journal.open(folder, 0);
    (fs as { write: unknown }).write = (...words: unknown[]) =>
      (words.at(-1) as (error: unknown) => void)(new Error('EIO'));
    expect(await append(other, change('x'))).to.be.instanceOf(Error);
    fs.write = write;
    await written(other, 'c');
    other.close();
    writeFileSync(join(folder, 'journal.1'), failed);
    expect(found()).to.deep.equal(['a', 'c']);
  });

  it('fills one file, then the other, then waits until what is in them is in LMDB', async () => {
    const { journal } = Journal.open(folder, 0);
    const names: string[] = [];
    while ((await append(journal, change(`n${names.length}`, 60_000))) === undefined)
      names.push(`n${names.length}`);
    // 15 blocks each, of the 256 in a file.
    expect(names.length).to.equal(2 * 17);
    expect(found()).to.deep.equal(names);
    journal.release(20);
    expect(await append(journal, change('more', 60_000))).to.equal(undefined);
    expect(await append(journal, change('longer than a file', 3_000_000))).to.equal('full');
    journal.release(journal.last);
    await written(journal, 'and more');
    expect(found(35)).to.deep.equal(['and more']);
    journal.close();
  });

  it('has a file to itself for a frame that is longer, and makes the file short again', async () => {
    const { journal } = Journal.open(folder, 0);
    expect(await append(journal, change('long', 3_000_000))).to.equal(undefined);
    expect(found()).to.deep.equal(['long']);
    journal.release(1);
    await written(journal, 'a');
    expect(found(1)).to.deep.equal(['a']);
    expect(statSync(file).size).to.equal(1024 * 1024);
    journal.close();
  });

  it('survives being released while a frame is on its way', async () => {
    const { journal } = Journal.open(folder, 0);
    await written(journal, 'a', 'b');
    const writing = append(journal, change('c'));
    journal.release(2);
    await writing;
    await written(journal, 'd');
    journal.close();
    expect(found(2)).to.deep.equal(['c', 'd']);
  });

  it('is opened as it was when its file goes on with what nobody wrote', async () => {
    const { journal } = Journal.open(folder, 0);
    await written(journal, 'a');
    journal.close();
    appendFileSync(file, Buffer.alloc(64 * 1024));
    expect(found()).to.deep.equal(['a']);
  });
});
