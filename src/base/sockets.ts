import { commandFailure } from './errors.js';
import { limits } from './limits.js';

/** What a Unix socket cannot be at is said before anything is made for it. Throws BAD_CONFIGURATION. */
export function requireSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= limits.socketPathBytes) return;
  throw commandFailure(
    'BAD_CONFIGURATION',
    `the socket path ${path} has ${bytes} bytes, and a socket's may have ${limits.socketPathBytes}: choose a shorter --home`,
  );
}
