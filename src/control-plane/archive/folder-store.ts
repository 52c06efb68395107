import { constants } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { makeFolder, syncFolderMeanwhile } from '../../base/files.js';
import type { ObjectStore } from './object-store.js';

/** What is being written ends so until it is whole. */
const UNFINISHED = '.new';

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/** A folder, 0700; its files are 0600 and renamed into place when they are on the disk, and so are the folders that they are in. */
export class FolderStore implements ObjectStore {
  readonly place: string;

  constructor(private readonly folder: string) {
    this.place = `${folder}${sep}`;
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    const file = join(this.folder, key);
    makeFolder(dirname(file), 0o700);
    const unfinished = `${file}${UNFINISHED}`;
    const handle = await open(unfinished, 'w', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, file);
    await syncFolderMeanwhile(dirname(file));
  }

  async get(key: string, maxBytes: number): Promise<Buffer | undefined> {
    try {
      const handle = await open(join(this.folder, key), constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const status = await handle.stat();
        if (!status.isFile() || status.size > maxBytes) throw new Error(`${key} is no archived backup`);
        return await handle.readFile();
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async remove(key: string): Promise<void> {
    const file = join(this.folder, key);
    await rm(`${file}${UNFINISHED}`, { force: true });
    await rm(file, { force: true });
    await syncFolderMeanwhile(dirname(file)).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }

  async list(prefix: string): Promise<readonly string[]> {
    try {
      const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile() && !entry.name.endsWith(UNFINISHED))
        .map((entry) => relative(this.folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
        .filter((key) => key.startsWith(prefix))
        .sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }
}
