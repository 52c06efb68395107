import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describeError } from '../../base/errors.js';
import { readForeignFile } from '../../base/files.js';
import { limits } from '../../base/limits.js';
import { randomBytes } from '../../crypto/index.js';
import { refused } from '../failure.js';

/** Reads a file that somebody at a tool names. Throws REFUSED. */
export function readGivenFile(path: string, maxBytes: number = limits.maskedObjectBytes): Buffer {
  let contents: Buffer | undefined;
  try {
    contents = readForeignFile(path, maxBytes);
  } catch (error) {
    throw refused(`${path} cannot be read: ${describeError(error)}`);
  }
  if (contents === undefined) throw refused(`there is no file ${path}`);
  return contents;
}

/** Writes one, for its owner only, whole, in the place of what was there; never through a link, nor over what is no file: others may
 * write to the folder too. Throws REFUSED. */
export function writeGivenFile(path: string, contents: string | Uint8Array): void {
  if (path === '') throw refused('the path of the file to write is empty');
  try {
    const folder = dirname(path);
    if (!existsSync(folder)) throw new Error('there is no such folder');
    const present = lstatSync(path, { throwIfNoEntry: false });
    if (present !== undefined && !present.isFile()) throw new Error('it is there, and is no regular file');
    const temporary = join(folder, `.${randomBytes(8).toString('hex')}.new`);
    // Only a file that nobody has made before.
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(file, contents);
      fsyncSync(file);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw refused(`${path} cannot be written: ${describeError(error)}`);
  }
}
