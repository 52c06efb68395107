import { limits } from '../../../base/limits.js';
import { optional } from '../../command-row.js';
import { readNamedFile } from '../../connection/identity.js';
import { refused, usage } from '../../failure.js';

/** What a file may hold that is signed, verified or unwrapped. */
const MOST_BYTES = limits.collectedBytes;

/** Decodes base64. Throws USAGE: nothing of it is repeated. */
export function fromBase64(text: string, option: string): Buffer {
  const compact = text.replace(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.length % 4 === 1)
    throw usage(`invalid value for '${option}': it is no base64`);
  return Buffer.from(compact, 'base64');
}

/** Decodes `0x…`. Throws USAGE. */
export function fromHex(text: string, option: string): Buffer {
  if (!/^(0x)?([0-9a-f]{2})*$/i.test(text))
    throw usage(`invalid value for '${option}': it is not hexadecimal`);
  return Buffer.from(text.replace(/^0x/i, ''), 'hex');
}

/** `--data B64 | --data-path F`, by another name for signatures. */
export function inputOptions<N extends string>(name: N, what: string) {
  const upper = name.toUpperCase();
  return {
    [name]: optional<string>(upper, `Base64 encoded ${what}`),
    [`${name}-path`]: optional<string>(`${upper}_PATH`, `Path to the binary file containing ${what}`),
  } as { [Name in N | `${N}-path`]: ReturnType<typeof optional<string>> };
}

/** The bytes that one of the two options gives. Throws USAGE or REFUSED. */
export function inputBytes(name: string, base64: string | undefined, path: string | undefined): Buffer {
  if ((base64 === undefined) === (path === undefined)) {
    throw usage(`exactly one of '--${name}' and '--${name}-path' must be provided`);
  }
  const bytes = path === undefined ? fromBase64(base64!, `--${name}`) : readNamedFile(path, MOST_BYTES);
  if (bytes.length === 0) throw refused(`there is nothing in --${name}`);
  return bytes;
}
