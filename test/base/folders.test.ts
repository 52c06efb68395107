import fs, { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeFolder, moveWhole, writePrivateFile } from '../../src/base/files.js';
import { FolderStore } from '../../src/control-plane/archive/folder-store.js';
import { openLmdbStore } from '../../src/store/lmdb-store.js';

describe('a folder that is made with those it is in', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'folders-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('is there afterwards, also when it was before', () => {
    const path = join(directory, 'a', 'b', 'c');
    for (let times = 0; times < 2; times++) {
      makeFolder(path, 0o700);
      expect(statSync(path).mode & 0o777).to.equal(0o700);
    }
  });

  it('is refused below a file', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(() => makeFolder(join(directory, 'file'), 0o700)).to.throw('EEXIST');
    expect(() => makeFolder(join(directory, 'file', 'a'), 0o700)).to.throw('ENOTDIR');
  });

  it('is refused, and not waited for, where no folders can be made', function () {
    if (!existsSync('/proc/self')) this.skip();
    expect(() => makeFolder('/proc/no/such/folder', 0o700)).to.throw();
  });
});

/** fsync(2): "does not necessarily ensure that the entry in the directory containing the file has also reached disk". */
describe('what is to outlive a power failure', () => {
  if (!existsSync('/proc/self/fd')) return;
  let directory: string;
  let synced: string[];
  let syncedMeanwhile: string[];
  let handles: Pick<FileHandle, 'sync'>;
  const { fsyncSync } = fs;
  let sync: FileHandle['sync'];

  const nameOf = (file: number): string =>
    fs.readlinkSync(`/proc/self/fd/${file}`).replace(directory, '').replace(/^$/, '/');

  before(async () => {
    const handle = await open('/proc/self/stat');
    handles = Object.getPrototypeOf(handle);
    sync = handles.sync;
    await handle.close();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'folders-'));
    [synced, syncedMeanwhile] = [[], []];
    fs.fsyncSync = (file: number) => {
      synced.push(nameOf(file));
      fsyncSync(file);
    };
    handles.sync = function (this: FileHandle) {
      syncedMeanwhile.push(nameOf(this.fd));
      return sync.call(this);
    };
    syncBuiltinESMExports();
  });
  afterEach(() => {
    fs.fsyncSync = fsyncSync;
    handles.sync = sync;
    syncBuiltinESMExports();
    rmSync(directory, { recursive: true });
  });

  it('has every folder that was made for it synced, and its own name', () => {
    writePrivateFile(join(directory, 'a', 'b', 'file'), 'text');
    expect(synced).to.deep.equal(['/', '/a', '/a/b/file.new', '/a/b']);
  });

  it('is a backup in folders that were made for it', async () => {
    await new FolderStore(join(directory, 'backups')).put('eu-west-1/1/backup', Buffer.from('backup'));
    expect(synced).to.deep.equal(['/', '/backups', '/backups/eu-west-1']);
    const folder = '/backups/eu-west-1/1';
    expect(syncedMeanwhile).to.deep.equal([`${folder}/backup.new`, folder]);
  });

  it('is that a backup was removed, for which nobody else waits', async () => {
    const store = new FolderStore(directory);
    await store.put('backup', Buffer.from('backup'));
    await store.remove('backup');
    expect(synced).to.deep.equal([]);
    expect(syncedMeanwhile).to.deep.equal(['/backup.new', '/', '/']);
    await store.remove('none/there');
    expect(await store.list('')).to.deep.equal([]);
  });

  it('is what was moved to another folder: it is gone there, and here', () => {
    for (const folder of ['from', 'to']) makeFolder(join(directory, folder), 0o700);
    writeFileSync(join(directory, 'from', 'file'), 'text');
    synced = [];
    moveWhole(join(directory, 'from', 'file'), join(directory, 'to', 'file'));
    expect(synced).to.deep.equal(['/to', '/from']);
    expect(readFileSync(join(directory, 'to', 'file'), 'utf8')).to.equal('text');
  });

  it('is the file of a new store', async () => {
    const open = () => openLmdbStore(join(directory, 'store'));
    await open().close();
    expect(synced).to.deep.equal(['/', '/store']);
    await open().close();
    expect(synced).to.have.length(2);
  });
});
