/** A big-endian number without the zeros that it may begin with: none is left of zero itself. */
export function withoutLeadingZeros(number: Buffer): Buffer {
  const first = number.findIndex((byte) => byte !== 0);
  return first < 0 ? number.subarray(number.length) : number.subarray(first);
}

/** Bits of a big-endian number, such as a modulus; zero has none. */
export function bitLength(number: Buffer): number {
  const significant = withoutLeadingZeros(number);
  const [first] = significant;
  return first === undefined ? 0 : significant.length * 8 - (Math.clz32(first) - 24);
}
