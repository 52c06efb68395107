import * as z from 'zod';
import { limits } from '../../base/limits.js';
import { refused } from '../failure.js';

/*
 * What `wrapKey` writes without -noheader: CloudHSM's layout is not public, this one is ours (reference management-tools, section
 * 5.5):
 *
 *   8 bytes magic, u32 big-endian length, as many bytes of JSON, then the wrapped key
 *
 * The header says what becomes of the key when it is unwrapped, and is not authenticated: the HSM checks what is unwrapped.
 */

const MAGIC = Buffer.from('CHLWRAP1');
const HEAD_BYTES = MAGIC.length + 4;
const MOST_HEADER_BYTES = 4096;

const schema = z.strictObject({
  mechanism: z.number().int(),
  objectClass: z.number().int(),
  keyType: z.number().int(),
  label: z.string().max(limits.pinBytes),
  id: z.string().max(limits.pinBytes),
  iv: z.string().max(64),
});

export type WrappedHeader = z.infer<typeof schema>;

export function withHeader(header: WrappedHeader, wrapped: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([MAGIC, length, json, wrapped]);
}

/** Throws REFUSED for what `withHeader` did not make. */
export function splitHeader(file: Buffer): { readonly header: WrappedHeader; readonly wrapped: Buffer } {
  const bad = (): Error => refused('Error: -f: the file has no header of wrapKey: see -noheader');
  if (file.length < HEAD_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC)) throw bad();
  const lengthBytes = file.readUInt32BE(MAGIC.length);
  if (lengthBytes > MOST_HEADER_BYTES || HEAD_BYTES + lengthBytes > file.length) throw bad();
  let fields: unknown;
  try {
    fields = JSON.parse(file.subarray(HEAD_BYTES, HEAD_BYTES + lengthBytes).toString('utf8'));
  } catch {
    throw bad();
  }
  const read = schema.safeParse(fields);
  if (!read.success) throw bad();
  return { header: read.data, wrapped: file.subarray(HEAD_BYTES + lengthBytes) };
}
