import {
  aesKeyUnwrap,
  aesKeyUnwrapLater,
  constantTimeEqual,
  createDigest,
  digest,
  importSecretKey,
  type SecretKey,
} from '../crypto/index.js';
import { ByteSource } from './byte-source.js';
import { CHUNK_HEAD_BYTES, LAST_CHUNK, LENGTH_BYTES, u64 } from './container.js';
import { decodeHeader, FIXED_BYTES, type Header, headerLength } from './header.js';
import type { BackupKeys } from './keys.js';
import { type Detail, rejected, unsuitable } from './refused.js';

/** A wrapped chunk has its head, the padding and the integrity check value on top of its payload. */
const CHUNK_OVERHEAD_BYTES = 64;

export interface OpenBackup {
  readonly header: Header;
  /**
   * What is inside, in pieces to be cleansed by who uses them. Only when the last one has been taken has everything been checked: until then
   * nothing of it may take effect.
   */
  readonly state: AsyncIterable<Buffer>;
}

/**
 * Opens a backup in the order of docs/BACKUP.md: nothing is believed before it was bounded, and nothing of what is inside comes out
 * before the HSM's keys have opened it.
 * @param accept whether the HSM takes such a backup: throws BACKUP_REFUSED otherwise
 * @throws BACKUP_REFUSED, here or out of `state`
 */
export async function readBackup(
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  keys: BackupKeys,
  accept: (header: Header) => void,
  detail: Detail = () => undefined,
): Promise<OpenBackup> {
  const source = new ByteSource(bytes);
  try {
    const fixed = await source.read(FIXED_BYTES);
    const rest = await source.read(headerLength(fixed) - FIXED_BYTES);
    const encoded = Buffer.concat([fixed, rest]);
    const header = decodeHeader(encoded);
    if (header.manufacturerId !== keys.manufacturerId)
      throw unsuitable(
        `HSMs of ${header.manufacturerId} made it: those of ${keys.manufacturerId} cannot restore it`,
      );
    accept(header);
    const ebk = unwrapEbk(keys, header, detail);
    return { header, state: chunks(source, header, digest('sha256', encoded), ebk, detail) };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function unwrapEbk(keys: BackupKeys, header: Header, detail: Detail): SecretKey {
  const pbk = keys.pbk(header);
  if (pbk === undefined) {
    detail(`no MKBK ${header.mkbkVersion} or no AKBK ${header.akbkVersion}`);
    throw rejected();
  }
  try {
    const bytes = aesKeyUnwrap('KW', pbk, header.wrappedEbk);
    const ebk = importSecretKey(bytes);
    bytes.fill(0);
    return ebk;
  } catch {
    detail('the EBK does not unwrap');
    throw rejected();
  } finally {
    pbk.destroy();
  }
}

async function* chunks(
  source: ByteSource,
  { chunkSizeBytes, chunkCount }: Header,
  headerHash: Buffer,
  ebk: SecretKey,
  detail: Detail,
): AsyncGenerator<Buffer> {
  const stateHash = createDigest('sha256');
  let lengthBytes = 0;
  try {
    for (let index = 0; index < chunkCount; index++) {
      const refuse = (why: string): never => {
        detail(`chunk ${index}: ${why}`);
        throw rejected();
      };
      const wrappedBytes = (await source.read(LENGTH_BYTES)).readUInt32BE();
      if (wrappedBytes > chunkSizeBytes + CHUNK_OVERHEAD_BYTES) refuse(`${wrappedBytes} bytes`);
      const wrapped = await source.read(wrappedBytes);
      const plaintext = await unwrapped(ebk, wrapped).catch(() => refuse('it does not unwrap'));
      const isLast = index === chunkCount - 1;
      const payload = plaintext.subarray(CHUNK_HEAD_BYTES);
      const problem =
        headProblem(plaintext, index, isLast, headerHash) ??
        (isLast
          ? trailerProblem(payload, Buffer.concat([u64(lengthBytes), stateHash.finish()]))
          : sizeProblem(payload.length, chunkSizeBytes, index === chunkCount - 2));
      if (problem !== undefined) {
        plaintext.fill(0);
        refuse(problem);
      }
      if (isLast) break;
      stateHash.update(payload);
      lengthBytes += payload.length;
      yield payload;
    }
    await source.end();
  } finally {
    ebk.destroy();
    await source.close();
  }
}

/** What is wrong with the head of a chunk. */
function headProblem(
  plaintext: Buffer,
  index: number,
  isLast: boolean,
  headerHash: Buffer,
): string | undefined {
  if (plaintext.length <= CHUNK_HEAD_BYTES) return 'it is empty';
  if (plaintext.readUInt32BE(0) !== index) return 'it is at another place';
  if (plaintext.readUInt32BE(4) !== (isLast ? LAST_CHUNK : 0)) return 'its flags are wrong';
  if (!constantTimeEqual(plaintext.subarray(8, CHUNK_HEAD_BYTES), headerHash))
    return 'it belongs to another header';
  return undefined;
}

function trailerProblem(payload: Buffer, expected: Buffer): string | undefined {
  return constantTimeEqual(payload, expected) ? undefined : 'the trailer says otherwise';
}

/** All chunks but the last one of the state are full. */
function sizeProblem(lengthBytes: number, fullBytes: number, isLastOfState: boolean): string | undefined {
  const fits = lengthBytes === fullBytes || (isLastOfState && lengthBytes < fullBytes);
  return fits ? undefined : 'it is not full';
}

/** Async, so that lengths that no key wrap has are one more reason to refuse. */
async function unwrapped(ebk: SecretKey, wrapped: Buffer): Promise<Buffer> {
  return aesKeyUnwrapLater('KWP', ebk, wrapped);
}
