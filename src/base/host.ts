import { addonPart } from './addon.js';

interface NativeHost {
  tryLockFile(path: string): boolean;
}

const native = addonPart<NativeHost>('host');

/**
 * Takes an exclusive advisory lock (flock) on a file, created with mode 0600 when absent, and holds it until
 * this process ends. Returns false when it is held already, by another process or by this one.
 * @throws Error with `errno` and `syscall` when the file cannot be opened or locked
 */
export function tryLockFile(path: string): boolean {
  return native.tryLockFile(path);
}
