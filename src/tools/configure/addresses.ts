import { shown } from '../command-row.js';
import { usage } from '../failure.js';

/** An address or a name of an HSM that somebody wrote. Throws USAGE. */
export function requireAddress(written: string): string {
  if (!/^[A-Za-z0-9.:_-]{1,253}$/.test(written)) throw usage(`'${shown(written)}' is no address`);
  return written;
}
