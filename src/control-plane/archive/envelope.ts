import { setImmediate as otherWork } from 'node:timers/promises';
import * as z from 'zod';
import { limits } from '../../base/limits.js';
import {
  aesGcmDecrypt,
  aesGcmEncrypt,
  digest,
  importSecretKey,
  randomBytes,
  type SecretKey,
} from '../../crypto/index.js';
import { type DataKey, notOfThisBackup } from './key-provider.js';

/*
 * The KMS layer around a container, as it is archived (docs/BACKUP.md). Big-endian:
 *
 *   "CHSMARC1" ‖ u32 length ‖ header as JSON ‖ frames
 *
 * Each frame is AES-256-GCM of the next frameBytes of the container under the data key, with a nonce of its own:
 * 7 bytes of the header ‖ u32 index ‖ u8 1 for the last one, else 0; additional data: SHA-256 of all that is in front of the frames.
 */

const MAGIC = Buffer.from('CHSMARC1');
const HEAD_BYTES = MAGIC.length + 4;
const HEADER_MAX_BYTES = 16 * 1024;
const FRAME_BYTES = 1024 * 1024;
const FRAME_MIN_BYTES = 1024;
const NONCE_PREFIX_BYTES = 7;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** What an archived backup may have: a container of the largest content, and its frames. */
export const ARCHIVED_MAX_BYTES = limits.backupStateBytes + 64 * 1024 * 1024;

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/);
const headerSchema = z.strictObject({
  version: z.literal(1),
  keyId: z.string().min(1).max(2048),
  /** "CiphertextBlob ≤ 6,144 bytes". */
  dataKey: base64.max(8192),
  nonce: base64.length(12),
  frameBytes: z.number().int().min(FRAME_MIN_BYTES).max(FRAME_BYTES),
  lengthBytes: z.number().int().min(1).max(ARCHIVED_MAX_BYTES),
});
type Header = z.infer<typeof headerSchema>;

function nonceOf(prefix: Buffer, index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  prefix.copy(nonce);
  nonce.writeUInt32BE(index, NONCE_PREFIX_BYTES);
  nonce.writeUInt8(Number(isLast), NONCE_BYTES - 1);
  return nonce;
}

/** Encrypts under a data key, which is cleansed. */
export async function encryptEnvelope(
  { plaintext, encrypted, keyId }: DataKey,
  container: Buffer,
  frameBytes = FRAME_BYTES,
): Promise<Buffer> {
  const prefix = randomBytes(NONCE_PREFIX_BYTES);
  const header: Header = {
    version: 1,
    keyId,
    dataKey: encrypted.toString('base64'),
    nonce: prefix.toString('base64'),
    frameBytes,
    lengthBytes: container.length,
  };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  const front = Buffer.concat([MAGIC, length, json]);
  const aad = digest('sha256', front);
  const key = importSecretKey(plaintext);
  plaintext.fill(0);
  const parts: Buffer[] = [front];
  for (let at = 0, index = 0; at < container.length; at += frameBytes, index++) {
    const isLast = at + frameBytes >= container.length;
    const frame = container.subarray(at, at + frameBytes);
    parts.push(aesGcmEncrypt(key, nonceOf(prefix, index, isLast), aad, TAG_BYTES, frame));
    await otherWork();
  }
  key.destroy();
  return Buffer.concat(parts);
}

function parseHeader(archived: Buffer): { header: Header; front: Buffer } {
  const jsonBytes = archived.length < HEAD_BYTES ? 0 : archived.readUInt32BE(MAGIC.length);
  const front = archived.subarray(0, HEAD_BYTES + jsonBytes);
  const isOurs = front.subarray(0, MAGIC.length).equals(MAGIC) && front.length === HEAD_BYTES + jsonBytes;
  if (!isOurs || jsonBytes === 0 || jsonBytes > HEADER_MAX_BYTES) throw notOfThisBackup();
  try {
    return { header: headerSchema.parse(JSON.parse(front.toString('utf8', HEAD_BYTES))), front };
  } catch {
    throw notOfThisBackup();
  }
}

function decryptFrame(key: SecretKey, nonce: Buffer, aad: Buffer, frame: Buffer): Buffer {
  try {
    return aesGcmDecrypt(key, nonce, aad, TAG_BYTES, frame);
  } catch {
    throw notOfThisBackup();
  }
}

/** Undoes encryptEnvelope. `decryptKey` gives the data key. Throws BACKUP_REFUSED. */
export async function decryptEnvelope(
  archived: Buffer,
  decryptKey: (data: Pick<DataKey, 'encrypted' | 'keyId'>) => Promise<Buffer>,
): Promise<Buffer> {
  const { header, front } = parseHeader(archived);
  const { frameBytes, lengthBytes, keyId } = header;
  const frames = Math.ceil(lengthBytes / frameBytes);
  if (archived.length !== front.length + lengthBytes + frames * TAG_BYTES) throw notOfThisBackup();
  const prefix = Buffer.from(header.nonce, 'base64');
  if (prefix.length !== NONCE_PREFIX_BYTES) throw notOfThisBackup();
  const plaintext = await decryptKey({ encrypted: Buffer.from(header.dataKey, 'base64'), keyId });
  const key = importSecretKey(plaintext);
  plaintext.fill(0);
  const aad = digest('sha256', front);
  const parts: Buffer[] = [];
  try {
    for (let index = 0, at = front.length; index < frames; index++, at += frameBytes + TAG_BYTES) {
      const frame = archived.subarray(at, at + frameBytes + TAG_BYTES);
      parts.push(decryptFrame(key, nonceOf(prefix, index, index === frames - 1), aad, frame));
      await otherWork();
    }
  } finally {
    key.destroy();
  }
  return Buffer.concat(parts);
}
