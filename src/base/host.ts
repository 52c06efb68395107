import { addonPart } from './addon.js';

/** Who is behind a Unix socket, as the kernel says. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

interface NativeHost {
  peerCredentials(fd: number): PeerCredentials;
  tryLockFile(path: string): boolean;
}

const native = addonPart<NativeHost>('host');

/**
 * The process that connected a Unix socket (SO_PEERCRED, on macOS getpeereid and LOCAL_PEERPID).
 * @param fd descriptor of the connected socket
 * @throws Error with `errno` and `syscall` when the descriptor is not such a socket
 */
export function peerCredentials(fd: number): PeerCredentials {
  return native.peerCredentials(fd);
}

/**
 * Takes an exclusive advisory lock (flock) on a file, created with mode 0600 when absent, and holds it until
 * this process ends. Returns false when it is held already, by another process or by this one.
 * @throws Error with `errno` and `syscall` when the file cannot be opened or locked
 */
export function tryLockFile(path: string): boolean {
  return native.tryLockFile(path);
}
