import { native } from './native.js';

/** The curves of CloudHSM, by their names in FIPS 186-4 and SEC 2. */
export type CurveName = 'P-224' | 'P-256' | 'secp256k1' | 'P-384' | 'P-521';

export interface Curve {
  name: CurveName;
  fieldBits: number;
  /** Length of the order n, of a private value, and of each half of a raw ECDSA signature. */
  orderLengthBytes: number;
  /** The DER OBJECT IDENTIFIER, as in CKA_EC_PARAMS. */
  oid: Buffer;
}

/** Every curve, in the order of the addon's table. */
export const curves = native.curves as readonly Curve[];

const rowOfName = new Map(curves.map((curve, row) => [curve.name, row]));

/** The addon's row number of a curve; of no curve when the name is unknown, which the addon refuses. */
export function curveRow(name: CurveName): number {
  return rowOfName.get(name) ?? curves.length;
}

/** The curve of a name. */
export function curveByName(name: CurveName): Curve {
  return curves[curveRow(name)]!;
}

/** The curve of a DER OBJECT IDENTIFIER, undefined when it is none of ours. */
export function curveByOid(der: Uint8Array): Curve | undefined {
  return curves.find((curve) => curve.oid.equals(der));
}
