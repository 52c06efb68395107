import type { Eventually } from '../../base/eventually.js';
import type { AnswerOf, RequestOf } from '../../hsm/commands/index.js';
import type { ReadResult } from '../../objects/reading.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKK, CKO } from '../../pkcs11/constants.js';
import { ulongOf } from '../../pkcs11/template.js';

/*
 * Attributes of keys as the tools of Client SDK 3 number, name and print them (reference management-tools, section 5.4).
 */

type Form = 'number' | 'flag' | 'text' | 'bytes' | 'template';

export interface AttributeRow {
  readonly number: number;
  /** Behind `OBJ_ATTR_`. */
  readonly name: string;
  readonly form: Form;
  /** The attribute of PKCS#11 where it is one and the same. */
  readonly type?: number;
  /** Its place in a dump of all attributes. */
  readonly dumped?: number;
}

/** THE row per attribute, in the order in which cloudhsm_mgmt_util lists them. */
export const attributeRows: readonly AttributeRow[] = [
  { number: 0, name: 'CLASS', form: 'number', type: CKA.CKA_CLASS, dumped: 1 },
  { number: 1, name: 'TOKEN', form: 'flag', type: CKA.CKA_TOKEN, dumped: 3 },
  { number: 2, name: 'PRIVATE', form: 'flag', type: CKA.CKA_PRIVATE, dumped: 4 },
  { number: 3, name: 'LABEL', form: 'text', type: CKA.CKA_LABEL, dumped: 14 },
  { number: 134, name: 'TRUSTED', form: 'flag', type: CKA.CKA_TRUSTED, dumped: 21 },
  { number: 256, name: 'KEY_TYPE', form: 'number', type: CKA.CKA_KEY_TYPE, dumped: 2 },
  { number: 258, name: 'ID', form: 'text', type: CKA.CKA_ID, dumped: 15 },
  { number: 259, name: 'SENSITIVE', form: 'flag', type: CKA.CKA_SENSITIVE, dumped: 12 },
  { number: 260, name: 'ENCRYPT', form: 'flag', type: CKA.CKA_ENCRYPT, dumped: 5 },
  { number: 261, name: 'DECRYPT', form: 'flag', type: CKA.CKA_DECRYPT, dumped: 6 },
  { number: 262, name: 'WRAP', form: 'flag', type: CKA.CKA_WRAP, dumped: 7 },
  { number: 263, name: 'UNWRAP', form: 'flag', type: CKA.CKA_UNWRAP, dumped: 8 },
  { number: 264, name: 'SIGN', form: 'flag', type: CKA.CKA_SIGN, dumped: 9 },
  { number: 266, name: 'VERIFY', form: 'flag', type: CKA.CKA_VERIFY, dumped: 10 },
  { number: 268, name: 'DERIVE', form: 'flag', type: CKA.CKA_DERIVE, dumped: 24 },
  { number: 355, name: 'LOCAL', form: 'flag', type: CKA.CKA_LOCAL, dumped: 11 },
  { number: 288, name: 'MODULUS', form: 'bytes', dumped: 18 },
  { number: 289, name: 'MODULUS_BITS', form: 'number', dumped: 19 },
  { number: 290, name: 'PUBLIC_EXPONENT', form: 'bytes', type: CKA.CKA_PUBLIC_EXPONENT, dumped: 20 },
  { number: 353, name: 'VALUE_LEN', form: 'number', dumped: 16 },
  { number: 354, name: 'EXTRACTABLE', form: 'flag', type: CKA.CKA_EXTRACTABLE, dumped: 13 },
  { number: 356, name: 'NEVER_EXTRACTABLE', form: 'flag', type: CKA.CKA_NEVER_EXTRACTABLE, dumped: 26 },
  { number: 357, name: 'ALWAYS_SENSITIVE', form: 'flag', type: CKA.CKA_ALWAYS_SENSITIVE, dumped: 25 },
  { number: 370, name: 'DESTROYABLE', form: 'flag', type: CKA.CKA_DESTROYABLE, dumped: 23 },
  { number: 371, name: 'KCV', form: 'bytes', type: CKA.CKA_CHECK_VALUE, dumped: 17 },
  { number: 528, name: 'WRAP_WITH_TRUSTED', form: 'flag', type: CKA.CKA_WRAP_WITH_TRUSTED, dumped: 22 },
  { number: 1073742353, name: 'WRAP_TEMPLATE', form: 'template', type: CKA.CKA_WRAP_TEMPLATE },
  { number: 1073742354, name: 'UNWRAP_TEMPLATE', form: 'template', type: CKA.CKA_UNWRAP_TEMPLATE },
];

export const ALL_ATTRIBUTES = 512;

export const attributeRow = (number: number): AttributeRow | undefined =>
  attributeRows.find((row) => row.number === number);

const listed = ({ name, number }: Pick<AttributeRow, 'name' | 'number'>): string =>
  `      ${`OBJ_ATTR_${name}`.padEnd(32)}= ${number}`;

/** What cloudhsm_mgmt_util's `listAttributes` prints, 512 included. */
export const attributeLines: readonly string[] = [
  ...attributeRows,
  { name: 'ALL', number: ALL_ATTRIBUTES },
].map(listed);

/** "KMU's shorter list" (the guide's page of its getAttribute): without those that came later, which it reads all the same. */
const unlistedByKmu: readonly number[] = [134, 268, 356, 357, 370, 528, 1073742353, 1073742354];
export const shorterAttributeLines: readonly string[] = attributeRows
  .filter(({ number }) => !unlistedByKmu.includes(number))
  .map(listed);

/** What `setAttribute` says before it asks (section 5.5). */
export const BOOLEAN_ATTRIBUTE = 'This attribute is defined as a boolean value.';
export const BOOLEAN_QUESTION = 'Enter the boolean attribute value (0 or 1):';

const readTypes: readonly number[] = [
  ...attributeRows.flatMap(({ type }) => (type === undefined ? [] : [type])),
  CKA.CKA_MODULUS,
  CKA.CKA_EC_PARAMS,
  CKA.CKA_EC_POINT,
  CKA.CKA_VALUE_LEN,
];

/** Where a key is read from: one HSM's connection, or a cluster's client. */
export interface KeySource {
  send<N extends 'getAttributes' | 'getKeyInfo'>(name: N, request: RequestOf<N>): Eventually<AnswerOf<N>>;
}

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;

/** Numbers that are no sizes are short in a dump, and long where they are asked for alone. */
const SIZES: readonly string[] = ['VALUE_LEN', 'MODULUS_BITS'];
const HEX_LINE = 80;

/** One key's attributes, read at once. */
export class KeyAttributes {
  private constructor(
    private readonly values: ReadonlyMap<number, Buffer>,
    private readonly materialBytes: number,
  ) {}

  static async read(source: KeySource, handle: number): Promise<KeyAttributes> {
    const results = await source.send('getAttributes', { handle, types: readTypes });
    const { materialBytes } = await source.send('getKeyInfo', { handle });
    const known = (result: ReadResult): result is Buffer => typeof result !== 'string';
    const values = readTypes.flatMap((type, at) => {
      const result = results[at]!;
      return known(result) ? [[type, result] as const] : [];
    });
    return new KeyAttributes(new Map(values), materialBytes);
  }

  get objectClass(): number {
    return ulongOf(this.values.get(CKA.CKA_CLASS)!);
  }

  get keyType(): number {
    return ulongOf(this.values.get(CKA.CKA_KEY_TYPE)!);
  }

  bytes(type: number): Buffer | undefined {
    return this.values.get(type);
  }

  flag(type: number): boolean {
    return this.values.get(type)?.[0] === 1;
  }

  /** The public point without the OCTET STRING around it. */
  get #point(): Buffer | undefined {
    const point = this.values.get(CKA.CKA_EC_POINT);
    return point?.subarray(point[1] === 0x81 ? 3 : 2);
  }

  get #modulus(): Buffer | undefined {
    return this.values.get(CKA.CKA_MODULUS) ?? this.#point;
  }

  /** "EC public = point length; RSA public = twice the modulus; private = PKCS#8 DER length; secret = key bytes" [derived]. */
  get #valueBytes(): number {
    if (this.objectClass !== CKO.CKO_PUBLIC_KEY) return this.materialBytes;
    const modulus = this.#modulus?.length ?? this.materialBytes;
    return this.keyType === CKK.CKK_RSA ? 2 * modulus : modulus;
  }

  /** Of EC keys the field's bits [guess]. */
  get #modulusBits(): number | undefined {
    const modulus = this.#modulus;
    if (modulus === undefined) return undefined;
    if (this.keyType === CKK.CKK_RSA) return modulus.length * 8;
    return ((modulus.length - 1) / 2) * 8;
  }

  #number({ name, type }: AttributeRow): number | undefined {
    if (name === 'VALUE_LEN') return this.#valueBytes;
    if (name === 'MODULUS_BITS') return this.#modulusBits;
    const value = type === undefined ? undefined : this.values.get(type);
    return value && ulongOf(value);
  }

  /** How an attribute is printed; undefined where the key has none. `digits`: of numbers and flags. */
  #text(row: AttributeRow, digits: number): string | undefined {
    const value = row.type === undefined ? undefined : this.values.get(row.type);
    switch (row.form) {
      case 'flag':
        return hex(row.type !== undefined && this.flag(row.type) ? 1 : 0, digits);
      case 'number': {
        const number = this.#number(row);
        return number === undefined ? undefined : hex(number, SIZES.includes(row.name) ? 8 : digits);
      }
      case 'text':
        return printable(value ?? Buffer.alloc(0));
      default: {
        const bytes = row.name === 'MODULUS' ? this.#modulus : value;
        return bytes && wrapped(`0x${bytes.toString('hex')}`);
      }
    }
  }

  /** Name and value of an attribute that is asked for alone. */
  single(row: AttributeRow): readonly [string, string] | undefined {
    const text = this.#text(row, 8);
    return text === undefined ? undefined : [`OBJ_ATTR_${row.name}`, text];
  }

  /** Names and values of all attributes, in the order of a dump. */
  dump(): (readonly [string, string])[] {
    const rows = attributeRows.filter(({ dumped }) => dumped !== undefined);
    return rows
      .sort((one, other) => one.dumped! - other.dumped!)
      .flatMap((row) => {
        const text = this.#text(row, 2);
        return text === undefined ? [] : [[`OBJ_ATTR_${row.name}`, text] as const];
      });
  }
}

/** Labels are somebody's bytes: what a terminal would obey is not printed. */
function printable(value: Buffer): string {
  return value.toString('utf8').replace(/\p{Cc}/gu, '?');
}

function wrapped(text: string): string {
  return text.match(new RegExp(`.{1,${HEX_LINE}}`, 'g'))!.join('\n');
}
