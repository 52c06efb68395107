/** One CK_ATTRIBUTE: the number and the value's bytes as the program passed them. `nested` holds the attributes of a
 * template within the template (CKA_WRAP_TEMPLATE); `value` is then empty. */
export interface Attribute {
  readonly type: number;
  readonly value: Buffer;
  readonly nested?: Template;
}

export type Template = readonly Attribute[];

const TRUE = Buffer.from([1]);
const FALSE = Buffer.from([0]);

/** CK_BBOOL. Callers share the two buffers and never write to them. */
export function boolBytes(value: boolean): Buffer {
  return value ? TRUE : FALSE;
}

/** CK_ULONG of an LP64 little-endian machine, from a number below 2^53. */
export function ulongBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value % 2 ** 32, 0);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), 4);
  return bytes;
}

/** Most CK_ULONGs of most objects are a few small numbers: they share a buffer each, which halves the memory of a decoded object and
 * the time that decoding takes. */
const sharedUlongs = new Map<number, Buffer>();
const SHARED_ULONGS = 256;

/** As `ulongBytes`, for callers that never write to it. */
export function sharedUlongBytes(value: number): Buffer {
  const shared = sharedUlongs.get(value);
  if (shared !== undefined) return shared;
  const bytes = ulongBytes(value);
  if (sharedUlongs.size < SHARED_ULONGS) sharedUlongs.set(value, bytes);
  return bytes;
}

/** The number in a CK_ULONG of eight bytes; above 2^53 only its magnitude is right. */
export function ulongOf(value: Buffer): number {
  return value.readUInt32LE(0) + value.readUInt32LE(4) * 2 ** 32;
}

/** The same CK_ULONG in a buffer that can be kept and is never written to. */
export function keptUlong(value: Buffer): Buffer {
  const number = ulongOf(value);
  return Number.isSafeInteger(number) ? sharedUlongBytes(number) : Buffer.from(value);
}

/** Builds an attribute from a JavaScript value, by the attribute's kind. For templates the engine makes itself. */
export function attribute(type: number, value: boolean | number | string | Uint8Array): Attribute {
  if (typeof value === 'boolean') return { type, value: boolBytes(value) };
  if (typeof value === 'number') return { type, value: ulongBytes(value) };
  if (typeof value === 'string') return { type, value: Buffer.from(value) };
  return { type, value: Buffer.from(value) };
}

export function findAttribute(template: Template, type: number): Attribute | undefined {
  return template.find((entry) => entry.type === type);
}

/** The boolean a template gives an attribute, or `otherwise`. Lengths are checked where the template is validated. */
export function templateBool(template: Template, type: number, otherwise: boolean): boolean {
  const entry = findAttribute(template, type);
  return entry === undefined || entry.value.length !== 1 ? otherwise : entry.value[0] !== 0;
}

/** The number a template gives an attribute, or undefined when it is absent or not a CK_ULONG. */
export function templateUlong(template: Template, type: number): number | undefined {
  const entry = findAttribute(template, type);
  return entry === undefined || entry.value.length !== 8 ? undefined : ulongOf(entry.value);
}
