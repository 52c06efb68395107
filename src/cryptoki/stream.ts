import type { CipherStream, Direction } from '../mechanisms/mechanism.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import type { StreamState } from './operations.js';

/** One Update of a cipher in parts: what the HSM is to do, and what changes once it has. */
export interface UpdatePlan {
  readonly mechanism: Mechanism;
  /** Empty: nothing for the HSM to do yet. */
  readonly input: Buffer;
  /** Bytes of the HSM's output that went out already. */
  readonly skipBytes: number;
  readonly outputBytes: number;
  commit(output: Buffer): void;
}

/**
 * Blocks: whole blocks go to the HSM, the rest is held back; so is the last block where Final must unpad it.
 *
 *     held | part  →  input (whole blocks) | new held
 */
function planBlocks(
  stream: CipherStream,
  state: StreamState,
  direction: Direction,
  part: Buffer,
): UpdatePlan {
  const all = state.held.length === 0 ? part : Buffer.concat([state.held, part]);
  let usableBytes = all.length - (all.length % stream.blockBytes);
  if (usableBytes === all.length && usableBytes > 0 && stream.holdsLastBlock(direction))
    usableBytes -= stream.blockBytes;
  const input = all.subarray(0, usableBytes);
  return {
    mechanism: { type: stream.partMechanism, parameter: state.parameter },
    input,
    skipBytes: 0,
    outputBytes: usableBytes,
    commit: (output) => {
      if (usableBytes > 0) state.parameter = stream.next(state.parameter, direction, input, output);
      state.held = Buffer.from(all.subarray(usableBytes));
    },
  };
}

/**
 * A key stream: every byte goes out at once. The HSM always begins at a block, so bytes of the block under way that are
 * used up are asked for again, as zeros, and dropped.
 */
function planKeyStream(
  stream: CipherStream,
  state: StreamState,
  direction: Direction,
  part: Buffer,
): UpdatePlan {
  const skipBytes = state.offsetBytes;
  const { bytesLeft } = state;
  if (bytesLeft !== undefined && BigInt(part.length) > bytesLeft) {
    throw ckr('CKR_DATA_LEN_RANGE', "the cipher's counter would run over");
  }
  const input = part.length === 0 ? part : Buffer.concat([Buffer.alloc(skipBytes), part]);
  return {
    mechanism: { type: stream.partMechanism, parameter: state.parameter },
    input,
    skipBytes,
    outputBytes: part.length,
    commit: (output) => {
      if (input.length === 0) return;
      state.parameter = stream.next(state.parameter, direction, input, output);
      state.offsetBytes = input.length % KEY_STREAM_BLOCK_BYTES;
      if (bytesLeft !== undefined) state.bytesLeft = bytesLeft - BigInt(part.length);
    },
  };
}

/** AES, the only key stream there is. */
const KEY_STREAM_BLOCK_BYTES = 16;

export function planUpdate(
  stream: CipherStream,
  state: StreamState,
  direction: Direction,
  part: Buffer,
): UpdatePlan {
  return (stream.blockBytes === 1 ? planKeyStream : planBlocks)(stream, state, direction, part);
}
