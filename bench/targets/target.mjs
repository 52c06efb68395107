import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * A PKCS#11 module with a token of its own.
 *
 * @typedef {object} Target
 * @property {string} name
 * @property {string} title
 * @property {string} module
 * @property {Record<string, string>} env     what the harness needs to reach the token
 * @property {number} maxTokenKeys            rows that need more are left out
 * @property {(complaint: string) => string | undefined} [excuse]
 *   why this failure is what the target is known for, so that the row is left out there; undefined: it is a failure
 * @property {() => Promise<void>} stop
 * @property {string} [sharesTokenOf]         the target that owns the token, if it is another's
 */

/** A target that this machine does not have. */
export class Missing extends Error {}

/** The first of these files that exists; throws Missing. */
export function firstFile(candidates, what) {
  const found = candidates.find((file) => existsSync(file));
  if (found === undefined) throw new Missing(what);
  return found;
}

/** A program on the PATH; throws Missing. */
export function program(name, debianPackage) {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return firstFile(
    folders.map((folder) => join(folder, name)),
    `${name} is not installed (Debian package ${debianPackage})`,
  );
}

/** Where Debian and others keep the libraries of this architecture. */
export const libraryFolders = [
  '/usr/lib',
  `/usr/lib/${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch}-linux-gnu`,
  '/usr/lib64',
  '/usr/local/lib',
  '/opt/homebrew/lib',
];
