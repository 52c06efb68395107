import { cmac, counterKdf, hmac, type SecretKey } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import type { Structure } from '../pkcs11/layouts.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { ulongOf } from '../pkcs11/template.js';
import { dkmLengthMethods, prfDataTypes } from '../pkcs11/vendor.js';
import { DERIVATION_DATA_BYTES } from './data-limits.js';
import { hashRows } from './hashes.js';
import { badParameter, type MechanismRow, structParameter, type UsableKey } from './mechanism.js';

/*
 * CKM_CLOUDHSM_SP800_108_COUNTER_KDF (reference section 10.2): the KDF in counter mode of SP 800-108. Its parameter comes
 * in two styles:
 *
 *   new   the PRF gets the data in the caller's order
 *   old   the PRF gets   counter ‖ label ‖ 00 ‖ context ‖ L   whatever the order
 *
 * L is the derived key's length in bits. What the reference does not say is as in v3.0, section 2.42: exactly one counter,
 * at most one L.
 */

type Prf = (key: SecretKey, input: Buffer) => Buffer;
type PrfData = Structure<'CK_PRF_DATA_PARAM'>;

interface PrfRow {
  readonly compute: Prf;
  /** CKK_… of base keys. */
  readonly keyTypes: readonly number[];
}

const secretKeyTypes = [CKK.CKK_AES, CKK.CKK_GENERIC_SECRET];

const prfs = new Map<number, PrfRow>([
  ...hashRows.map(({ hmac: type, hash }): [number, PrfRow] => [
    type,
    { compute: (key, input) => hmac(hash, key, input), keyTypes: secretKeyTypes },
  ]),
  [CKM.CKM_AES_CMAC, { compute: cmac, keyTypes: [CKK.CKK_AES] }],
]);

const COUNTER_WIDTHS_BITS = [16, 32];
const LENGTH_WIDTHS_BITS = [8, 16, 32, 64];
const ULONG_BYTES = 8;

/** What the PRF's input is made of: bytes, or the round's counter in so many bits. */
type Piece = Buffer | { readonly counterBits: number };

const isCounter = (piece: Piece): piece is { readonly counterBits: number } => !Buffer.isBuffer(piece);

/** The CK_ULONGs of CK_SP800_108_COUNTER_FORMAT or CK_SP800_108_DKM_LENGTH_FORMAT. */
function ulongsOf({ type, pValue }: PrfData, count: number): number[] {
  if (pValue.length !== count * ULONG_BYTES) {
    throw badParameter(`the value of data of type ${type} has ${pValue.length} bytes`);
  }
  return Array.from({ length: count }, (_, at) =>
    ulongOf(pValue.subarray(at * ULONG_BYTES, (at + 1) * ULONG_BYTES)),
  );
}

function bigEndian(value: number, widthBits: number): Buffer {
  const bytes = Buffer.alloc(widthBits / 8);
  bytes.writeUIntBE(value, Math.max(0, bytes.length - 4), Math.min(4, bytes.length));
  return bytes;
}

function counterPiece(data: PrfData): Piece {
  const [counterBits] = ulongsOf(data, 1) as [number];
  if (!COUNTER_WIDTHS_BITS.includes(counterBits)) throw badParameter(`a counter of ${counterBits} bits`);
  return { counterBits };
}

function lengthPiece(data: PrfData, lengthBytes: number): Piece {
  const [method, widthBits] = ulongsOf(data, 2) as [number, number];
  if (method !== dkmLengthMethods.SP800_108_DKM_LENGTH_SUM_OF_KEYS)
    throw badParameter(`dkmLengthMethod ${method}: only SP800_108_DKM_LENGTH_SUM_OF_KEYS`);
  if (!LENGTH_WIDTHS_BITS.includes(widthBits)) throw badParameter(`a length of ${widthBits} bits`);
  const lengthBits = lengthBytes * 8;
  if (lengthBits >= 2 ** widthBits)
    throw badParameter(`${lengthBits}, the key's length, does not fit into ${widthBits} bits`);
  return bigEndian(lengthBits, widthBits);
}

/** The data in the caller's order. */
function orderedPieces(params: readonly PrfData[], lengthBytes: number): Piece[] {
  let lengths = 0;
  const pieces = params.map((data): Piece => {
    switch (data.type) {
      case prfDataTypes.CK_SP800_108_ITERATION_VARIABLE:
        return counterPiece(data);
      case prfDataTypes.CK_SP800_108_DKM_LENGTH:
        lengths++;
        return lengthPiece(data, lengthBytes);
      case prfDataTypes.CK_SP800_108_BYTE_ARRAY:
        return data.pValue;
      default:
        throw badParameter(`data of type ${data.type} among data in the caller's order`);
    }
  });
  if (pieces.filter(isCounter).length !== 1 || lengths > 1)
    throw badParameter('the data must have one counter, and no more than one length');
  return pieces;
}

/** Each of the four kinds of data once. */
function fixedPieces(params: readonly PrfData[], lengthBytes: number): Piece[] {
  const only = (type: number): PrfData => {
    const found = params.filter((data) => data.type === type);
    if (found.length !== 1) throw badParameter(`${found.length} data of type ${type} instead of one`);
    return found[0]!;
  };
  const { SP800_108_COUNTER_FORMAT, SP800_108_PRF_LABEL, SP800_108_PRF_CONTEXT, SP800_108_DKM_FORMAT } =
    prfDataTypes;
  const pieces = [
    counterPiece(only(SP800_108_COUNTER_FORMAT)),
    only(SP800_108_PRF_LABEL).pValue,
    Buffer.from([0]),
    only(SP800_108_PRF_CONTEXT).pValue,
    lengthPiece(only(SP800_108_DKM_FORMAT), lengthBytes),
  ];
  if (params.length !== 4) throw badParameter(`${params.length} data instead of four`);
  return pieces;
}

function piecesOf(params: readonly PrfData[], lengthBytes: number): Piece[] {
  const isOld = params.some(({ type }) => type >= prfDataTypes.SP800_108_COUNTER_FORMAT);
  const pieces = (isOld ? fixedPieces : orderedPieces)(params, lengthBytes);
  const dataBytes = pieces.reduce((sum, piece) => sum + (isCounter(piece) ? 0 : piece.length), 0);
  if (dataBytes > DERIVATION_DATA_BYTES)
    throw badParameter(`${dataBytes} bytes of data where ${DERIVATION_DATA_BYTES} are allowed`);
  return pieces;
}

/** "KDF 16–32" (reference section 9.9), in bytes of the base key. */
const sizes = { minKeySize: 16, maxKeySize: 32 };

function checkBaseKey({ keyType, bits }: UsableKey, prf: PrfRow): void {
  if (!prf.keyTypes.includes(keyType))
    throw ckr('CKR_KEY_TYPE_INCONSISTENT', 'the base key is of no type that the PRF takes');
  if (bits < sizes.minKeySize * 8 || bits > sizes.maxKeySize * 8)
    throw ckr('CKR_KEY_SIZE_RANGE', `a base key of ${bits} bits: 128 to 256 are allowed`);
}

export const counterKdfMechanism: MechanismRow = {
  type: CKM.CKM_CLOUDHSM_SP800_108_COUNTER_KDF,
  ...sizes,
  derivation: {
    // Seen with AES; that generic secrets will do as well is a guess.
    keyTypes: secretKeyTypes,
    derive: (key, parameter, lengthBytes) => {
      const { prftype, pDataParams } = structParameter(parameter, 'CK_SP800_108_KDF_PARAMS');
      const prf = prfs.get(prftype);
      if (prf === undefined) throw badParameter(`prftype 0x${prftype.toString(16)}`);
      checkBaseKey(key, prf);
      const pieces = piecesOf(pDataParams, lengthBytes);
      const input = (counter: number): Buffer =>
        Buffer.concat(
          pieces.map((piece) => (isCounter(piece) ? bigEndian(counter, piece.counterBits) : piece)),
        );
      const secret = key.native as SecretKey;
      return counterKdf((data) => prf.compute(secret, data), input, lengthBytes);
    },
  },
};
