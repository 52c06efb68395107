/** DER OCTET STRING around a point: the form in which CloudHSM returns CKA_EC_POINT (reference section 7). */
export function octetString(point: Buffer): Buffer {
  const length = point.length < 0x80 ? [point.length] : [0x81, point.length];
  return Buffer.concat([Buffer.from([0x04, ...length]), point]);
}

/**
 * The point in a CKA_EC_POINT that a program passed: DER as the standard wants it, or raw as many pass it. The tag of
 * an OCTET STRING and the mark of an uncompressed point are both 04, so the length decides.
 */
export function rawPoint(value: Buffer): Buffer {
  if (value[0] === 0x04) {
    const headerBytes = value[1] === 0x81 ? 3 : 2;
    if (value.length > headerBytes && value[headerBytes - 1] === value.length - headerBytes) {
      return value.subarray(headerBytes);
    }
  }
  return value;
}
