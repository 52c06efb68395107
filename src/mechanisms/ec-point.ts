import { type CurveName, curveByName } from '../crypto/index.js';

/** DER OCTET STRING around a point: the form in which CloudHSM returns CKA_EC_POINT (reference section 7). */
export function octetString(point: Buffer): Buffer {
  const length = point.length < 0x80 ? [point.length] : [0x81, point.length];
  return Buffer.concat([Buffer.from([0x04, ...length]), point]);
}

/**
 * The point that a program passed as CKA_EC_POINT or pPublicData: DER as the standard wants it, or raw as many pass it.
 * The tag of an OCTET STRING and the mark of an uncompressed point are both 04, so the length decides: that of an
 * uncompressed point on the curve is raw.
 */
export function rawPoint(curve: CurveName, value: Buffer): Buffer {
  const uncompressedBytes = 1 + 2 * Math.ceil(curveByName(curve).fieldBits / 8);
  if (value[0] !== 0x04 || value.length === uncompressedBytes) return value;
  const headerBytes = value[1] === 0x81 ? 3 : 2;
  const fits = value.length > headerBytes && value[headerBytes - 1] === value.length - headerBytes;
  return fits ? value.subarray(headerBytes) : value;
}
