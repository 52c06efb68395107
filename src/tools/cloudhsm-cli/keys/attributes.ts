import { curves, ed25519Oid } from '../../../crypto/index.js';
import { CKA } from '../../../pkcs11/attributes.js';
import { CKK, CKO } from '../../../pkcs11/constants.js';
import { type Attribute, attribute, boolBytes, ulongBytes, ulongOf } from '../../../pkcs11/template.js';
import { vendorParameterSets } from '../../../pkcs11/vendor.js';
import { shown } from '../../command-row.js';
import { refused } from '../../failure.js';

/*
 * Attributes of keys as the CLI names and writes them (reference management-tools, sections 6.3 and 6.4).
 */

/** How a value is written, and its bytes. */
interface Form {
  readonly show: (value: Buffer) => string | number | boolean;
  /** Throws REFUSED. */
  readonly read: (text: string, name: string) => Buffer;
}

const invalid = (name: string, text: string, may: string): Error =>
  refused(`the value '${shown(text)}' of attribute ${name} is invalid: ${may}`);

const bool: Form = {
  show: (value) => value[0] === 1,
  read: (text, name) => {
    if (text !== 'true' && text !== 'false') throw invalid(name, text, 'true or false');
    return boolBytes(text === 'true');
  },
};

const text: Form = { show: (value) => value.toString('utf8'), read: (value) => Buffer.from(value) };

const number: Form = {
  show: (value) => ulongOf(value),
  read: (value, name) => {
    if (!/^\d{1,9}$/.test(value)) throw invalid(name, value, 'a number');
    return ulongBytes(Number(value));
  },
};

const hex: Form = {
  show: (value) => `0x${value.toString('hex')}`,
  read: (value, name) => {
    if (!/^0x([0-9a-f]{2})*$/i.test(value))
      throw invalid(name, value, 'hexadecimal digits in pairs behind 0x');
    return Buffer.from(value.slice(2), 'hex');
  },
};

/** "ID: text" to SDK 3, bytes to programs: what is not hexadecimal is text. None is shown as nothing. */
const id: Form = {
  show: (value) => (value.length === 0 ? '' : `0x${value.toString('hex')}`),
  read: (value, name) => (value.startsWith('0x') ? hex.read(value, name) : Buffer.from(value)),
};

/** A number that has a name. */
function named(words: Readonly<Record<string, number>>): Form {
  const byNumber = new Map(Object.entries(words).map(([word, value]) => [value, word]));
  return {
    show: (value) => byNumber.get(ulongOf(value)) ?? 'unknown',
    read: (value, name) => {
      const found = Object.hasOwn(words, value) ? words[value] : undefined;
      if (found === undefined) throw invalid(name, value, Object.keys(words).join(', '));
      return ulongBytes(found);
    },
  };
}

/** THE row per curve, by the CLI's name; the first of two names is the one that is shown [guess]. */
const curveNames: readonly (readonly [string, Buffer])[] = [
  ...(
    [
      ['secp256r1', 'P-256'],
      ['prime256v1', 'P-256'],
      ['secp224r1', 'P-224'],
      ['secp384r1', 'P-384'],
      ['secp256k1', 'secp256k1'],
      ['secp521r1', 'P-521'],
    ] as const
  ).map(([name, curve]) => [name, curves.find((row) => row.name === curve)!.oid] as const),
  ['ed25519', ed25519Oid],
];

export const curveWords = [
  'prime256v1',
  'secp256r1',
  'secp224r1',
  'secp384r1',
  'secp256k1',
  'secp521r1',
  'ed25519',
] as const;
export const curveOid = (name: string): Buffer => curveNames.find(([word]) => word === name)![1];

const curve: Form = {
  show: (value) => curveNames.find(([, oid]) => oid.equals(value))?.[0] ?? 'unknown',
  read: (value, name) => {
    const found = curveNames.find(([word]) => word === value)?.[1];
    if (found === undefined) throw invalid(name, value, curveWords.join(', '));
    return found;
  },
};

/** DER OCTET STRING around a point, as CKA_EC_POINT has it. */
export function octetString(point: Buffer): Buffer {
  const length = point.length < 0x80 ? [point.length] : [0x81, point.length];
  return Buffer.concat([Buffer.from([0x04, ...length]), point]);
}

export const pointOf = (der: Buffer): Buffer => der.subarray(der[1] === 0x81 ? 3 : 2);
const point: Form = {
  show: (value) => `0x${pointOf(value).toString('hex')}`,
  read: (value, name) => octetString(hex.read(value, name)),
};

const keyTypes = named({
  rsa: CKK.CKK_RSA,
  ec: CKK.CKK_EC,
  'generic-secret': CKK.CKK_GENERIC_SECRET,
  des3: CKK.CKK_DES3,
  aes: CKK.CKK_AES,
  'ml-dsa': CKK.CKK_CLOUDHSM_ML_DSA,
});

const classes = named({
  'public-key': CKO.CKO_PUBLIC_KEY,
  'private-key': CKO.CKO_PRIVATE_KEY,
  'secret-key': CKO.CKO_SECRET_KEY,
});

export const mlDsaAlgorithms = {
  'ML-DSA-44': vendorParameterSets.CKP_CLOUDHSM_ML_DSA_44,
  'ML-DSA-65': vendorParameterSets.CKP_CLOUDHSM_ML_DSA_65,
  'ML-DSA-87': vendorParameterSets.CKP_CLOUDHSM_ML_DSA_87,
} as const;

interface AttributeRow {
  readonly name: string;
  readonly type: number;
  readonly form: Form;
  /** `always`: every key shows it, without a value as FALSE or nothing; else those that have one. `computed`: what is shown is no value
   * of the key's, so no HSM finds keys by it. */
  readonly shows: 'always' | 'present' | 'computed';
}

const always = (name: string, type: number, form: Form = bool): AttributeRow => ({
  name,
  type,
  form,
  shows: 'always',
});
const present = (name: string, type: number, form: Form): AttributeRow => ({
  name,
  type,
  form,
  shows: 'present',
});

const computed = (name: string, type: number, form: Form): AttributeRow => ({
  name,
  type,
  form,
  shows: 'computed',
});

/** THE row per attribute, in the order in which a key shows them ("attribute order is fixed", section 6.3). */
export const attributeRows: readonly AttributeRow[] = [
  always('key-type', CKA.CKA_KEY_TYPE, keyTypes),
  always('label', CKA.CKA_LABEL, text),
  always('id', CKA.CKA_ID, id),
  present('check-value', CKA.CKA_CHECK_VALUE, hex),
  always('class', CKA.CKA_CLASS, classes),
  always('encrypt', CKA.CKA_ENCRYPT),
  always('decrypt', CKA.CKA_DECRYPT),
  always('token', CKA.CKA_TOKEN),
  always('always-sensitive', CKA.CKA_ALWAYS_SENSITIVE),
  always('derive', CKA.CKA_DERIVE),
  always('destroyable', CKA.CKA_DESTROYABLE),
  always('extractable', CKA.CKA_EXTRACTABLE),
  always('local', CKA.CKA_LOCAL),
  always('modifiable', CKA.CKA_MODIFIABLE),
  always('never-extractable', CKA.CKA_NEVER_EXTRACTABLE),
  always('private', CKA.CKA_PRIVATE),
  present('mldsa-algorithm', CKA.CKA_CLOUDHSM_PARAMETER_SET, named(mlDsaAlgorithms)),
  always('sensitive', CKA.CKA_SENSITIVE),
  always('sign', CKA.CKA_SIGN),
  always('trusted', CKA.CKA_TRUSTED),
  always('unwrap', CKA.CKA_UNWRAP),
  always('verify', CKA.CKA_VERIFY),
  always('wrap', CKA.CKA_WRAP),
  always('wrap-with-trusted', CKA.CKA_WRAP_WITH_TRUSTED),
  computed('key-length-bytes', CKA.CKA_VALUE_LEN, number),
  present('public-exponent', CKA.CKA_PUBLIC_EXPONENT, hex),
  present('modulus', CKA.CKA_MODULUS, hex),
  computed('modulus-size-bits', CKA.CKA_MODULUS_BITS, number),
  present('ec-point', CKA.CKA_EC_POINT, point),
  present('curve', CKA.CKA_EC_PARAMS, curve),
];

const rowsByName = new Map(attributeRows.map((row) => [row.name, row]));
/** Attributes whose value is true or false. */
export const isFlag = (name: string): boolean => rowsByName.get(name)?.form === bool;
export const isComputed = (name: string): boolean => rowsByName.get(name)?.shows === 'computed';

/** Attributes of CloudHSM's CLI that this one does not set (section 6.4). */
const templates: readonly string[] = ['wrap-template', 'unwrap-template'];

/** One attribute with its value. Throws REFUSED, naming the attributes there are. */
export function attributeFrom(name: string, value: string): Attribute {
  const row = rowsByName.get(name);
  if (templates.includes(name))
    throw refused(
      `how ${name} is written is not public: setAttribute of cloudhsm_mgmt_util and C_GenerateKey set it`,
    );
  if (row === undefined)
    throw refused(
      `there is no attribute '${shown(name)}': ${attributeRows.map((one) => one.name).join(', ')}`,
    );
  return attribute(row.type, row.form.read(value, name));
}

/** `name=value` words as a template. Throws REFUSED. */
export function templateFrom(words: readonly string[]): Attribute[] {
  const template = words.map((word) => {
    const at = word.indexOf('=');
    if (at < 1) throw refused(`'${shown(word)}' is no attribute: write <name>=<value>`);
    return attributeFrom(word.slice(0, at), word.slice(at + 1));
  });
  const twice = template.find(({ type }, at) => template.findIndex((one) => one.type === type) < at);
  if (twice !== undefined) {
    const { name } = attributeRows.find(({ type }) => type === twice.type)!;
    throw refused(`attribute ${name} is given twice`);
  }
  return template;
}

export const attributeTypes: readonly number[] = attributeRows.map(({ type }) => type);
