/*
 * The low bit of every byte of a DES key makes the number of its ones odd (FIPS 46-3, section "Data Encryption Algorithm").
 */

function isOdd(byte: number): boolean {
  let ones = 0;
  for (let rest = byte; rest !== 0; rest >>= 1) ones += rest & 1;
  return ones % 2 === 1;
}

export function hasOddParity(key: Buffer): boolean {
  return key.every(isOdd);
}

/** Changes the bytes in place. */
export function setOddParity(key: Buffer): void {
  for (let at = 0; at < key.length; at++) if (!isOdd(key[at]!)) key[at]! ^= 1;
}
