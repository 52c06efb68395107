import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { addonPart } from '../../src/base/addon.js';
import { SyncedFile } from '../../src/store/synced-file.js';

const BLOCK_BYTES = 4096;
/** More than the kernel is given at a time. */
const MANY = 40;

describe('a file whose writes are on disk when they are reported', () => {
  let folder: string;
  let path: string;
  let file: SyncedFile;

  beforeEach(() => {
    folder = fs.mkdtempSync(join(tmpdir(), 'chl-'));
    path = join(folder, 'file');
    file = new SyncedFile(path);
  });
  afterEach(() => {
    file.close();
    fs.rmSync(folder, { recursive: true });
  });

  const blocks = (text: string, count = 1): Buffer => Buffer.alloc(count * BLOCK_BYTES, text);
  const write = (bytes: Buffer, position: number, over: boolean): Promise<Error | null> =>
    new Promise((resolve) => file.write(bytes, position, over, resolve));

  it('is written over in its place, with what the bytes were when it was told to', async () => {
    expect(await write(blocks('a', 5), 0, false)).to.equal(null);
    const bytes = blocks('b', 2);
    const written = write(bytes, BLOCK_BYTES, true);
    bytes.fill('c');
    expect(await written).to.equal(null);
    const expected = Buffer.concat([blocks('a'), blocks('b', 2), blocks('a', 2)]);
    expect(fs.readFileSync(path).equals(expected)).to.equal(true);
  });

  it('takes writes of any length, and many at a time', async () => {
    expect(await write(blocks('a', MANY), 0, false)).to.equal(null);
    const all = Array.from({ length: MANY }, (_, at) => write(blocks(`${at % 10}`), at * BLOCK_BYTES, true));
    expect(await Promise.all(all)).to.deep.equal(all.map(() => null));
    const expected = Buffer.concat(all.map((_, at) => blocks(`${at % 10}`)));
    expect(fs.readFileSync(path).equals(expected)).to.equal(true);
    expect(await write(blocks('z', MANY), 0, true)).to.equal(null);
    expect(fs.readFileSync(path).equals(blocks('z', MANY))).to.equal(true);
  });

  it('is written to when it has become longer since it was opened, and shorter', async () => {
    expect(await write(blocks('a', 3), 0, false)).to.equal(null);
    file.shorten(BLOCK_BYTES);
    expect(await write(blocks('b'), 0, true)).to.equal(null);
    expect(await write(blocks('c'), BLOCK_BYTES, false)).to.equal(null);
    expect(fs.readFileSync(path).equals(Buffer.concat([blocks('b'), blocks('c')]))).to.equal(true);
  });
});

describe('writes that the kernel is handed', () => {
  interface NativeDisk {
    write(descriptor: number, bytes: Buffer, position: number, done: (written: number) => void): boolean;
  }
  const { write } = addonPart<NativeDisk>('disk');

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  it('say what the system has answered', async () => {
    const folder = fs.mkdtempSync(join(tmpdir(), 'chl-'));
    const descriptor = fs.openSync(join(folder, 'file'), 'w');
    const farBehindAnyEnd = 2 ** 52;
    const written = await new Promise<number>((resolve, reject) => {
      if (!write(descriptor, Buffer.alloc(BLOCK_BYTES), farBehindAnyEnd, resolve))
        reject(new Error('not taken'));
    });
    expect(written).to.equal(-constants.errno.EFBIG);
    fs.closeSync(descriptor);
    fs.rmSync(folder, { recursive: true });
  });

  it('are not taken where they cannot be done', () => {
    const noDescriptor = 1_000_000;
    const never = (): void => expect.fail('a write that was not taken is told of');
    expect(write(noDescriptor, Buffer.alloc(BLOCK_BYTES), 0, never)).to.equal(false);
    expect(write(1, Buffer.alloc(1024 * 1024), 0, never)).to.equal(false);
  });
});
