import { existsSync, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeError } from '../../base/errors.js';
import { readForeignFile, writePrivateFile } from '../../base/files.js';
import { limits } from '../../base/limits.js';
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

/** Writes one, for its owner only, in the place of what was there; never through a link, nor over what is no file. Throws REFUSED. */
export function writeGivenFile(path: string, contents: string | Uint8Array): void {
  try {
    if (!existsSync(dirname(path))) throw new Error('there is no such folder');
    const present = lstatSync(path, { throwIfNoEntry: false });
    if (present !== undefined && !present.isFile()) throw new Error('it is there, and is no regular file');
    writePrivateFile(path, contents);
  } catch (error) {
    throw refused(`${path} cannot be written: ${describeError(error)}`);
  }
}
