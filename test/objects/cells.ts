import { createCipheriv, generateKeyPairSync } from 'node:crypto';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { hasMessageAlgorithm } from '../../src/crypto/index.js';
import type { Profile } from '../../src/objects/deviations.js';
import { Gate } from '../../src/objects/gate.js';
import { classOf, keyTypeOf, type ObjectKind } from '../../src/objects/kinds.js';
import type { Origin } from '../../src/objects/rules.js';
import { validateTemplate } from '../../src/objects/template-validator.js';
import { type AttributeName, attributeKind, CKA } from '../../src/pkcs11/attributes.js';
import type { Mechanism } from '../../src/pkcs11/layouts.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { type Attribute, attribute, type Template, ulongBytes } from '../../src/pkcs11/template.js';

/* How every cell of the attribute rules is tried out: on an HSM, through the call that the column is about. */

export const P256 = Buffer.from('06082a8648ce3d030107', 'hex');

const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ecKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const rsa = rsaKey.export({ format: 'jwk' });
const ec = ecKey.export({ format: 'jwk' });
const bytes = (text: string | undefined): Buffer => Buffer.from(text!, 'base64url');

const point = Buffer.concat([Buffer.from([4, 65, 4]), bytes(ec.x), bytes(ec.y)]);

/** Values that make a sound key, where not just any will do. */
const keyParts: { readonly [Kind in ObjectKind]?: { readonly [Name in AttributeName]?: Buffer | number } } = {
  rsaPrivate: {
    CKA_MODULUS: bytes(rsa.n),
    CKA_PUBLIC_EXPONENT: bytes(rsa.e),
    CKA_PRIVATE_EXPONENT: bytes(rsa.d),
    CKA_PRIME_1: bytes(rsa.p),
    CKA_PRIME_2: bytes(rsa.q),
    CKA_EXPONENT_1: bytes(rsa.dp),
    CKA_EXPONENT_2: bytes(rsa.dq),
    CKA_COEFFICIENT: bytes(rsa.qi),
    CKA_MODULUS_BITS: 2048,
  },
  rsaPublic: { CKA_MODULUS: bytes(rsa.n), CKA_PUBLIC_EXPONENT: bytes(rsa.e), CKA_MODULUS_BITS: 2048 },
  ecPrivate: { CKA_EC_PARAMS: P256, CKA_VALUE: bytes(ec.d), CKA_EC_POINT: point },
  ecPublic: { CKA_EC_PARAMS: P256, CKA_EC_POINT: point },
  aes: { CKA_VALUE: Buffer.alloc(32, 1), CKA_VALUE_LEN: 32 },
  // Odd parity, three different keys.
  des3: {
    CKA_VALUE: Buffer.from('0123456789abcdeffedcba98765432100123456789abcd10', 'hex'),
    CKA_VALUE_LEN: 24,
  },
  generic: { CKA_VALUE: Buffer.alloc(32, 1), CKA_VALUE_LEN: 32 },
  mldsaPublic: { CKA_CLOUDHSM_PARAMETER_SET: 1 },
};

let ids = 0;

/** The values to try an attribute of a kind with. */
export function samples(kind: ObjectKind, name: AttributeName): Attribute[] {
  const type = CKA[name];
  const part = keyParts[kind]?.[name];
  if (part !== undefined) return [attribute(type, part)];
  if (name === 'CKA_CLASS') return [attribute(type, classOf(kind))];
  if (name === 'CKA_KEY_TYPE') return [attribute(type, keyTypeOf(kind)!)];
  // Ids are unique.
  if (name === 'CKA_ID') return [attribute(type, `id ${ids++}`)];
  switch (attributeKind(type)!) {
    case 'bool':
      return [attribute(type, true), attribute(type, false)];
    case 'ulong':
      return [attribute(type, 1)];
    case 'date':
      return [attribute(type, '20260101')];
    case 'template':
      return [{ type, value: Buffer.alloc(0), nested: [attribute(CKA.CKA_EXTRACTABLE, true)] }];
    case 'ulongs':
      return [attribute(type, Buffer.alloc(8))];
    default:
      return [attribute(type, Buffer.from('text'))];
  }
}

/** What a template has to hold, by column: the `!` of the rules, written down a second time. */
const required: Record<Origin, (kind: ObjectKind) => readonly AttributeName[]> = {
  generatePair: (kind) =>
    ({
      rsaPublic: ['CKA_MODULUS_BITS', 'CKA_PUBLIC_EXPONENT'] as const,
      ecPublic: ['CKA_EC_PARAMS'] as const,
      // Not by the rules, but by the mechanism.
      mldsaPublic: ['CKA_CLOUDHSM_PARAMETER_SET'] as const,
    })[kind as string] ?? [],
  generate: (kind) => (kind === 'des3' ? [] : ['CKA_VALUE_LEN']),
  create: (kind) => [
    'CKA_CLASS',
    'CKA_KEY_TYPE',
    ...(Object.keys(keyParts[kind]!) as AttributeName[]).filter(
      (name) =>
        name !== 'CKA_MODULUS_BITS' &&
        name !== 'CKA_VALUE_LEN' &&
        !(kind === 'ecPrivate' && name === 'CKA_EC_POINT'),
    ),
  ],
  unwrap: () => ['CKA_CLASS', 'CKA_KEY_TYPE'],
  derive: (kind) => ['CKA_CLASS', 'CKA_KEY_TYPE', ...(kind === 'des3' ? [] : (['CKA_VALUE_LEN'] as const))],
};

/** A template that makes an object, with `changed` in it and without `left out`. */
export function templateFor(
  origin: Origin,
  kind: ObjectKind,
  changed: readonly Attribute[] = [],
  leftOut?: AttributeName,
): Template {
  const types = new Set(changed.map(({ type }) => type));
  const base = required[origin](kind)
    .filter((name) => name !== leftOut && !types.has(CKA[name]))
    .map((name) => samples(kind, name)[0]!);
  return [...base, ...changed];
}

const pairs: readonly (readonly [ObjectKind, ObjectKind, number])[] = [
  ['rsaPublic', 'rsaPrivate', CKM.CKM_RSA_X9_31_KEY_PAIR_GEN],
  ['ecPublic', 'ecPrivate', CKM.CKM_EC_KEY_PAIR_GEN],
  ['mldsaPublic', 'mldsaPrivate', CKM.CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN],
];

const generations: { readonly [Kind in ObjectKind]?: number } = {
  aes: CKM.CKM_AES_KEY_GEN,
  des3: CKM.CKM_DES3_KEY_GEN,
  generic: CKM.CKM_GENERIC_SECRET_KEY_GEN,
};

export type Make = (client: ClusterClient, kind: ObjectKind, template: Template) => Promise<number>;

const counterKdf: Mechanism = {
  type: CKM.CKM_CLOUDHSM_SP800_108_COUNTER_KDF,
  parameter: {
    layout: 'CK_SP800_108_KDF_PARAMS',
    prftype: CKM.CKM_SHA256_HMAC,
    pDataParams: [{ layout: 'CK_PRF_DATA_PARAM', type: 1, pValue: ulongBytes(32) }],
  },
};

const KEK = Buffer.alloc(32, 2);
/** The key that everything is unwrapped with, in the HSM of each client. */
const unwrappingKeys = new WeakMap<ClusterClient, number>();

async function unwrappingKeyOf(client: ClusterClient): Promise<number> {
  const known = unwrappingKeys.get(client);
  if (known !== undefined) return known;
  const handle = await client.createObject([
    ...templateFor('create', 'aes', [attribute(CKA.CKA_VALUE, KEK)]),
    attribute(CKA.CKA_UNWRAP, true),
  ]);
  unwrappingKeys.set(client, handle);
  return handle;
}

/** What another party gives away of a key of the kind: the bytes of a secret one, PKCS#8 of a private one, in RFC 5649's wrap. */
function wrappedKey(kind: ObjectKind): Buffer {
  const pkcs8 = { rsaPrivate: rsaKey, ecPrivate: ecKey }[kind as string];
  const plain = pkcs8?.export({ format: 'der', type: 'pkcs8' }) ?? (keyParts[kind]!.CKA_VALUE as Buffer);
  const cipher = createCipheriv('id-aes256-wrap-pad', KEK, Buffer.from('a65959a6', 'hex'));
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

/** The call of each column; what it makes is a session object unless the template says otherwise. */
const makers: { readonly [Way in Origin]: Make } = {
  generatePair: async (client, kind, template) => {
    const [publicKind, privateKind, mechanism] = pairs.find((pair) => pair.includes(kind))!;
    const pair = await client.generateKeyPair(
      mechanism,
      kind === publicKind ? template : templateFor('generatePair', publicKind),
      kind === privateKind ? template : templateFor('generatePair', privateKind),
    );
    return kind === publicKind ? pair.publicKey : pair.privateKey;
  },
  generate: async (client, kind, template) => client.generateKey(generations[kind]!, template),
  create: async (client, _kind, template) => client.createObject(template),
  unwrap: async (client, kind, template) => {
    const request = {
      unwrappingKey: await unwrappingKeyOf(client),
      mechanism: { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, parameter: undefined },
      wrapped: wrappedKey(kind),
      template,
    };
    return (await client.unwrapKey(request, () => undefined)).handle;
  },
  derive: async (client, _kind, template) => {
    const base = [attribute(CKA.CKA_VALUE_LEN, 32), attribute(CKA.CKA_DERIVE, true)];
    const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, base);
    return client.deriveKey(handle, counterKdf, template);
  },
};

/** Kinds that no mechanism makes on this Node; test/cli/node-versions.test.ts tries them on one that has them. */
const unmade: readonly ObjectKind[] = hasMessageAlgorithm('ML-DSA-44', 'pure')
  ? []
  : ['mldsaPublic', 'mldsaPrivate'];

/** Only the validator was asked: there is no object to look at. */
export const NO_HANDLE = -1;

export function makerOf(origin: Origin, kind: ObjectKind, profile: Profile): Make {
  if (!unmade.includes(kind)) return makers[origin];
  const gate = new Gate(profile, () => undefined);
  return async (_client, _kind, template) => {
    validateTemplate(origin, kind, template, gate.allowance(undefined).allow);
    return NO_HANDLE;
  };
}
