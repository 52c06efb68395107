/*
 * The counter block of CKM_AES_CTR (v2.40 mechanisms, section 2.8.4): the low `counterBits` bits count, big-endian;
 * the bits above them are a nonce and stay.
 */

function mask(counterBits: number): bigint {
  return (1n << BigInt(counterBits)) - 1n;
}

function toBigInt(block: Buffer): bigint {
  return BigInt(`0x${block.toString('hex')}`);
}

/** Blocks that may still be encrypted before the counter repeats its first value. */
export function counterBlocksLeft(block: Buffer, counterBits: number): bigint {
  return mask(counterBits) + 1n - (toBigInt(block) & mask(counterBits));
}

/** The counter block `blocks` later. The counter wraps within its own bits. */
export function advanceCounter(block: Buffer, counterBits: number, blocks: number): Buffer {
  const value = toBigInt(block);
  const low = mask(counterBits);
  const advanced = (value & ~low) | ((value + BigInt(blocks)) & low);
  return Buffer.from(advanced.toString(16).padStart(block.length * 2, '0'), 'hex');
}
