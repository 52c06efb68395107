import {
  aesKeyWrap,
  aesKeyWrapLater,
  createDigest,
  digest,
  importSecretKey,
  randomBytes,
  type SecretKey,
} from '../crypto/index.js';
import { CHUNK_BYTES, encodeHeader, type HeaderFields, NONCE_BYTES } from './header.js';
import type { BackupKeys } from './keys.js';

/*
 * What follows the header: chunks, each   u32 length ‖ KWP(EBK, u32 index ‖ u32 flags ‖ SHA-256(header) ‖ payload).
 * The last one has flag 1 and, as its payload, u64 length of the state ‖ SHA-256(state).
 */

export const EBK_BYTES = 32;
export const LAST_CHUNK = 1;
/** index, flags, hash of the header. */
export const CHUNK_HEAD_BYTES = 40;
export const LENGTH_BYTES = 4;

/** What a backup is of. It is asked for twice, and must be the same: its length is in front of it. */
export interface State {
  readonly lengthBytes: number;
  /** In pieces of any length, which are cleansed when they have been used. */
  pieces(): AsyncIterable<Buffer> | Iterable<Buffer>;
}

/** What is fresh for each backup. */
export interface Fresh {
  readonly ebk: Buffer;
  readonly nonce: Buffer;
}

export type BackupFields = Omit<HeaderFields, keyof BackupKeys['current']>;

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** The state cut into payloads, which are views of one buffer: the next one overwrites it. */
async function* payloads(state: State, sizeBytes: number): AsyncGenerator<Buffer> {
  const room = Buffer.alloc(sizeBytes);
  let filled = 0;
  try {
    for await (const piece of state.pieces()) {
      for (let at = 0; at < piece.length; ) {
        const copied = piece.copy(room, filled, at);
        at += copied;
        filled += copied;
        if (filled < sizeBytes) continue;
        yield room;
        filled = 0;
      }
      piece.fill(0);
    }
    if (filled > 0) yield room.subarray(0, filled);
  } finally {
    room.fill(0);
  }
}

/**
 * A backup, piece by piece. Its EBK is made for it alone and exists only wrapped afterwards.
 * @param fresh for known answers
 */
export async function* writeBackup(
  keys: BackupKeys,
  fields: BackupFields,
  state: State,
  fresh: Fresh = { ebk: randomBytes(EBK_BYTES), nonce: randomBytes(NONCE_BYTES) },
  chunkSizeBytes = CHUNK_BYTES,
): AsyncGenerator<Buffer> {
  const ebk = importSecretKey(fresh.ebk);
  try {
    const header = encodeHeader({
      ...fields,
      ...keys.current,
      nonce: fresh.nonce,
      chunkSizeBytes,
      chunkCount: Math.ceil(state.lengthBytes / chunkSizeBytes) + 1,
      wrappedEbk: wrapEbk(keys, fresh.ebk),
    });
    fresh.ebk.fill(0);
    yield header;
    const headerHash = digest('sha256', header);
    const stateHash = createDigest('sha256');
    let [index, lengthBytes] = [0, 0];
    for await (const payload of payloads(state, chunkSizeBytes)) {
      stateHash.update(payload);
      lengthBytes += payload.length;
      yield* chunk(ebk, [u32(index++), u32(0), headerHash, payload]);
    }
    if (lengthBytes !== state.lengthBytes || lengthBytes === 0)
      throw new Error(`the state has ${lengthBytes} bytes instead of ${state.lengthBytes}`);
    const trailer = [u64(lengthBytes), stateHash.finish()];
    yield* chunk(ebk, [u32(index), u32(LAST_CHUNK), headerHash, ...trailer]);
  } finally {
    ebk.destroy();
    fresh.ebk.fill(0);
  }
}

function wrapEbk(keys: BackupKeys, ebk: Buffer): Buffer {
  const pbk = keys.pbk(keys.current)!;
  try {
    return aesKeyWrap('KW', pbk, ebk);
  } finally {
    pbk.destroy();
  }
}

async function* chunk(ebk: SecretKey, parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  const plaintext = Buffer.concat(parts);
  const wrapped = await aesKeyWrapLater('KWP', ebk, plaintext);
  plaintext.fill(0);
  yield Buffer.concat([u32(wrapped.length), wrapped]);
}
