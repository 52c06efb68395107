import { limits } from '../base/limits.js';
import { type AttributeName, attributeKind, CKA } from '../pkcs11/attributes.js';
import { boolBytes, sharedUlongBytes, ulongOf } from '../pkcs11/template.js';
import { MalformedFrame, Reader, type Writer } from '../wire/bytes.js';
import type { Attributes } from './template-validator.js';

/*
 * The attributes of an object as an HSM stores them (docs/STORAGE.md, "Object records", version 4): which of the rows below there are,
 * which of those flags are TRUE, and the values of the others in the order of the rows.
 */

/** THE rows: what has a bit of its own in records. Append only: a row's place is on disk. What has no row is stored with its number. */
const names = [
  'CKA_TOKEN',
  'CKA_PRIVATE',
  'CKA_MODIFIABLE',
  'CKA_DESTROYABLE',
  'CKA_COPYABLE',
  'CKA_LOCAL',
  'CKA_SENSITIVE',
  'CKA_EXTRACTABLE',
  'CKA_ALWAYS_SENSITIVE',
  'CKA_NEVER_EXTRACTABLE',
  'CKA_ENCRYPT',
  'CKA_DECRYPT',
  'CKA_WRAP',
  'CKA_UNWRAP',
  'CKA_SIGN',
  'CKA_VERIFY',
  'CKA_DERIVE',
  'CKA_TRUSTED',
  'CKA_WRAP_WITH_TRUSTED',
  'CKA_CLASS',
  'CKA_KEY_TYPE',
  'CKA_LABEL',
  'CKA_ID',
  'CKA_VALUE_LEN',
  'CKA_KEY_GEN_MECHANISM',
  'CKA_CHECK_VALUE',
  'CKA_START_DATE',
  'CKA_END_DATE',
  'CKA_SUBJECT',
  'CKA_EC_PARAMS',
  'CKA_EC_POINT',
  'CKA_MODULUS',
  'CKA_MODULUS_BITS',
  'CKA_PUBLIC_EXPONENT',
  'CKA_PUBLIC_KEY_INFO',
  'CKA_SIGN_RECOVER',
  'CKA_VERIFY_RECOVER',
  'CKA_ALWAYS_AUTHENTICATE',
  'CKA_WRAP_TEMPLATE',
  'CKA_UNWRAP_TEMPLATE',
  'CKA_DERIVE_TEMPLATE',
  'CKA_ALLOWED_MECHANISMS',
  'CKA_CLOUDHSM_PARAMETER_SET',
  'CKA_VALUE',
  'CKA_ISSUER',
  'CKA_SERIAL_NUMBER',
  'CKA_CERTIFICATE_TYPE',
  'CKA_CERTIFICATE_CATEGORY',
  'CKA_APPLICATION',
  'CKA_OBJECT_ID',
] as const satisfies readonly AttributeName[];

/** How a value is written: a CK_BBOOL is one bit, a CK_ULONG a variable-length number, anything else its length and its bytes. */
type Form = 'flag' | 'number' | 'bytes';

const formOfKind: { readonly [kind: string]: Form } = { bool: 'flag', ulong: 'number' };

/** The rows' types and forms, in order. */
export const storedRows: readonly { readonly type: number; readonly form: Form }[] = names.map((name) => {
  const type = CKA[name];
  return { type, form: formOfKind[attributeKind(type)!] ?? 'bytes' };
});

const rowAt = new Map(storedRows.map(({ type }, at) => [type, at]));
const ROW_BYTES = Math.ceil(storedRows.length / 8);

const isFlag = (value: Buffer): boolean => value.length === 1 && value[0]! <= 1;
const isUlong = (value: Buffer): boolean => value.length === 8 && Number.isSafeInteger(ulongOf(value));

/** The place of the row that this value of an attribute fits. */
function placeOf(type: number, value: Buffer): number | undefined {
  const at = rowAt.get(type);
  if (at === undefined) return undefined;
  const { form } = storedRows[at]!;
  const fits = form === 'flag' ? isFlag(value) : form === 'bytes' || isUlong(value);
  return fits ? at : undefined;
}

function writeBytes(writer: Writer, value: Buffer): void {
  writer.varint(value.length);
  writer.bytes(value);
}

export function writeAttributes(writer: Writer, attributes: Attributes): void {
  const present = Buffer.alloc(ROW_BYTES);
  const others: [number, Buffer][] = [];
  for (const [type, value] of attributes) {
    const at = placeOf(type, value);
    if (at === undefined) others.push([type, value]);
    else present[at >> 3]! |= 1 << (at & 7);
  }
  const { flags, values } = shapeOf(present.toString('latin1'));
  writer.u8(ROW_BYTES);
  writer.bytes(present);
  let bits = 0;
  for (let at = 0; at < flags.length; at++) {
    if (attributes.get(flags[at]!)![0] === 1) bits |= 1 << (at & 7);
    if ((at & 7) < 7 && at < flags.length - 1) continue;
    writer.u8(bits);
    bits = 0;
  }
  for (const { type, isNumber } of values) {
    if (isNumber) writer.varint(ulongOf(attributes.get(type)!));
    else writeBytes(writer, attributes.get(type)!);
  }
  writer.varint(others.length);
  for (const [type, value] of others) {
    writer.varint(type);
    writeBytes(writer, value);
  }
}

/** The rows of one pattern of presence, split by how they are written. */
interface Shape {
  /** Which flag, or which value, a type is. */
  readonly flagAt: ReadonlyMap<number, number>;
  readonly valueAt: ReadonlyMap<number, number>;
  readonly flags: readonly number[];
  readonly values: readonly { readonly type: number; readonly isNumber: boolean }[];
}

/** Most objects of an HSM have one of a few shapes. */
const shapes = new Map<string, Shape>();
const KEPT_SHAPES = 256;

/** @param name the bits of its rows, a character per byte */
function shapeOf(name: string): Shape {
  const known = shapes.get(name);
  if (known !== undefined) return known;
  const present = Buffer.from(name, 'latin1');
  const flags: number[] = [];
  const values: { type: number; isNumber: boolean }[] = [];
  for (let bit = 0; bit < present.length * 8; bit++) {
    if (!(present[bit >> 3]! & (1 << (bit & 7)))) continue;
    const row = storedRows[bit];
    if (row === undefined) throw new MalformedFrame(`an attribute of row ${bit}, of a later build`);
    if (row.form === 'flag') flags.push(row.type);
    else values.push({ type: row.type, isNumber: row.form === 'number' });
  }
  const flagAt = new Map(flags.map((type, at) => [type, at]));
  const valueAt = new Map(values.map(({ type }, at) => [type, at]));
  const shape = { flags, values, flagAt, valueAt };
  if (shapes.size < KEPT_SHAPES) shapes.set(name, shape);
  return shape;
}

const MOST_ROW_BYTES = limits.templateAttributes / 8;

function readBytes(reader: Reader): Buffer {
  return Buffer.from(reader.bytes(reader.varint(limits.attributeBytes, 'bytes of an attribute')));
}

function readShape(reader: Reader): Shape {
  const rowBytes = reader.u8();
  if (rowBytes > MOST_ROW_BYTES) throw new MalformedFrame(`${rowBytes} bytes of rows`);
  return shapeOf(reader.text(rowBytes, 'latin1'));
}

function readValue(reader: Reader, isNumber: boolean): Buffer {
  return isNumber
    ? sharedUlongBytes(reader.varint(Number.MAX_SAFE_INTEGER, 'in a number'))
    : readBytes(reader);
}

/** Throws MalformedFrame. */
export function readAttributes(reader: Reader): Attributes {
  const { flags, values } = readShape(reader);
  const attributes: Attributes = new Map();
  let bits = 0;
  for (let at = 0; at < flags.length; at++) {
    bits = (at & 7) === 0 ? reader.u8() : bits >> 1;
    attributes.set(flags[at]!, boolBytes((bits & 1) === 1));
  }
  for (const { type, isNumber } of values) attributes.set(type, readValue(reader, isNumber));
  for (let left = reader.varint(limits.templateAttributes, 'attributes'); left > 0; left--) {
    const type = reader.varint(0xffff_ffff, 'for the type of an attribute');
    if (attributes.has(type)) throw new MalformedFrame(`attribute ${type} is there twice`);
    attributes.set(type, readBytes(reader));
  }
  return attributes;
}

/** Attributes that stay as they are stored until they are asked for: to look at one or two of many objects. */
export class StoredAttributes implements Pick<Attributes, 'get'> {
  readonly #shape: Shape;
  readonly #flagsAt: number;
  readonly #valuesAt: number;

  /** @param at where they begin in the record */
  constructor(
    private readonly record: Buffer,
    at: number,
  ) {
    const reader = new Reader(record, at);
    this.#shape = readShape(reader);
    this.#flagsAt = reader.at;
    this.#valuesAt = this.#flagsAt + Math.ceil(this.#shape.flags.length / 8);
  }

  get(type: number): Buffer | undefined {
    const { flagAt, valueAt, values } = this.#shape;
    const flag = flagAt.get(type);
    if (flag !== undefined)
      return boolBytes(((this.record[this.#flagsAt + (flag >> 3)]! >> (flag & 7)) & 1) === 1);
    const place = valueAt.get(type) ?? values.length;
    const reader = new Reader(this.record, this.#valuesAt);
    for (let at = 0; at < place; at++) skipValue(reader, values[at]!.isNumber);
    return place < values.length ? readValue(reader, values[place]!.isNumber) : otherOf(reader, type);
  }

  /** Where they end. */
  get end(): number {
    const reader = new Reader(this.record, this.#valuesAt);
    for (const { isNumber } of this.#shape.values) skipValue(reader, isNumber);
    otherOf(reader, undefined);
    return reader.at;
  }
}

function skipValue(reader: Reader, isNumber: boolean): void {
  const number = reader.varint(Number.MAX_SAFE_INTEGER, 'in a number');
  if (!isNumber) reader.skip(number);
}

/** The value of an attribute among those that have no row. */
function otherOf(reader: Reader, type: number | undefined): Buffer | undefined {
  for (let left = reader.varint(limits.templateAttributes, 'attributes'); left > 0; left--) {
    if (reader.varint(0xffff_ffff, 'for the type of an attribute') === type) return readBytes(reader);
    skipValue(reader, false);
  }
  return undefined;
}
