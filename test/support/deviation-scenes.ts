import { execFileSync } from 'node:child_process';
import pkcs11js from 'pkcs11js';
import type { CallDeviationId } from '../../src/objects/deviations.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import type { CkrName } from '../../src/pkcs11/ckr.js';
import { CKD, CKF } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import type { CallName } from '../../src/wire/calls.js';
import { buildNative, nativeProgram } from '../native/build-native.js';
import { modulePath } from './engine.js';
import { attribute, curveOids, generateAes, generateEc } from './keys.js';
import type { TestModule } from './module.js';

type Template = pkcs11js.Template;

/** What a scene works with: a session that is logged in, and the key that `prepare` left on the token. */
export interface Stage {
  readonly module: TestModule;
  readonly session: Buffer;
  readonly key: Buffer;
  /** Finds it. */
  readonly label: Template;
}

/** A program doing what one row says, and nothing else that CloudHSM refuses. */
export interface Scene {
  /** The function that deviates, as the report names it. */
  readonly call: CallName;
  /** HSMs of the cluster: 2 without it. */
  readonly hsms?: number;
  /** Makes, in the compatible profile, a token object that the scene is about. */
  prepare?(module: TestModule, session: Buffer, label: Template): void;
  /** What it does. Throws what the module answers. */
  act(stage: Stage): unknown;
  /** What the compatible profile answers, CKR_OK otherwise. */
  readonly compatible?: CkrName;
  /** Where CloudHSM's answer is CKR_OK: whether `act` returned what it returns there. */
  sameAsCloudHsm?(returned: unknown): boolean;
}

/** Up to two objects that match. */
export function find(module: TestModule, session: Buffer, template: Template): Buffer[] {
  module.p11.C_FindObjectsInit(session, template);
  const found = module.p11.C_FindObjects(session, 2);
  module.p11.C_FindObjectsFinal(session);
  return found;
}

const rsa = { mechanism: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN };
const ec = { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN };
const p256 = { type: CKA.CKA_EC_PARAMS, value: Buffer.from(curveOids['P-256'], 'hex') };

const aesWith =
  (...more: Template) =>
  ({ module, session }: Stage) =>
    generateAes(module, session, 32, more);
const ecWith =
  (publicMore: Template, privateMore: Template = []) =>
  ({ module, session }: Stage) =>
    module.p11.C_GenerateKeyPair(session, ec, [p256, ...publicMore], privateMore);
const aesOnToken = (module: TestModule, session: Buffer, label: Template, ...more: Template): Buffer =>
  generateAes(module, session, 32, [...label, ...more]);
const sameId = { type: CKA.CKA_ID, value: Buffer.from('in use') };
const read =
  (type: number) =>
  ({ module, session, key }: Stage) =>
    module.p11.C_GetAttributeValue(session, key, [{ type }])[0]!.value;

/** Does it while nobody is logged in. */
function loggedOut<T>(module: TestModule, session: Buffer, act: () => T): T {
  module.p11.C_Logout(session);
  try {
    return act();
  } finally {
    module.login(session);
  }
}

const gcm = (iv: Buffer) => ({
  mechanism: pkcs11js.CKM_AES_GCM,
  parameter: { type: pkcs11js.CK_PARAMS_AES_GCM_v240, iv, ivBits: 0, tagBits: 128 },
});

/** THE scene per deviation: the compiler asks for one wherever a row is added. */
export const scenes: { readonly [Id in CallDeviationId]: Scene } = {
  'read-only-session': {
    call: 'C_OpenSession',
    act: ({ module }) => module.p11.C_CloseSession(module.openSession(CKF.CKF_SERIAL_SESSION)),
  },
  'session-callback': {
    call: 'C_OpenSession',
    // pkcs11js passes NULL.
    act: () => {
      buildNative();
      const program = nativeProgram('behaviour_client');
      const said = execFileSync(program, [modulePath, 'open'], { encoding: 'utf8' });
      const [, code] = /^with a callback 0x(\w+)$/m.exec(said)!;
      if (code !== '0') throw new Error(`CKR_OF_CALLBACK:${Number.parseInt(code!, 16)}`);
    },
  },
  'seed-random': {
    call: 'C_SeedRandom',
    act: ({ module, session }) => module.p11.C_SeedRandom(session, Buffer.alloc(8)),
    compatible: 'CKR_RANDOM_SEED_NOT_SUPPORTED',
  },
  'random-before-login': {
    call: 'C_GenerateRandom',
    act: ({ module, session }) =>
      loggedOut(module, session, () => module.p11.C_GenerateRandom(session, Buffer.alloc(8))),
  },
  'digest-parameter': {
    call: 'C_DigestInit',
    act: ({ module, session }) => {
      module.p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256, parameter: Buffer.alloc(9, 1) });
      return module.p11.C_Digest(session, Buffer.from('data'), Buffer.alloc(32));
    },
  },
  'wait-for-slot-event': {
    call: 'C_WaitForSlotEvent',
    act: ({ module }) => module.p11.C_WaitForSlotEvent(pkcs11js.CKF_DONT_BLOCK),
  },
  'token-flags': {
    call: 'C_GetTokenInfo',
    act: ({ module }) => module.p11.C_GetTokenInfo(module.slot).flags,
    // "Token flags 0x405 (RNG, LOGIN_REQUIRED, TOKEN_INITIALIZED)" (reference section 20).
    sameAsCloudHsm: (flags) => flags === 0x405,
  },
  'private-false': {
    call: 'C_GenerateKeyPair',
    act: ecWith([{ type: CKA.CKA_PRIVATE, value: false }]),
  },
  'sensitive-false': {
    call: 'C_GenerateKey',
    act: aesWith({ type: CKA.CKA_SENSITIVE, value: false }),
  },
  'derived-sensitive-false': {
    call: 'C_DeriveKey',
    act: ({ module, session }) => {
      const derives = [{ type: CKA.CKA_DERIVE, value: true }];
      const { publicKey, privateKey } = module.p11.C_GenerateKeyPair(session, ec, [p256], derives);
      const publicData = attribute(module, session, publicKey, CKA.CKA_EC_POINT);
      const kdf = CKD.CKD_CLOUDHSM_X963_SHA256_KDF;
      const parameter = { type: pkcs11js.CK_PARAMS_EC_DH, kdf, publicData } as pkcs11js.IParams;
      return module.p11.C_DeriveKey(
        session,
        { mechanism: pkcs11js.CKM_ECDH1_DERIVE, parameter },
        privateKey,
        [
          { type: CKA.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
          { type: CKA.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
          { type: CKA.CKA_VALUE_LEN, value: 32 },
          { type: CKA.CKA_SENSITIVE, value: false },
        ],
      );
    },
  },
  'read-secret': {
    call: 'C_GetAttributeValue',
    prepare: (module, session, label) =>
      void aesOnToken(module, session, label, { type: CKA.CKA_SENSITIVE, value: false }),
    act: read(CKA.CKA_VALUE),
  },
  'extra-attribute': {
    call: 'C_GetAttributeValue',
    prepare: (module, session, label) => void generateEc(module, session, 'P-256', label),
    act: read(CKA.CKA_DECRYPT),
  },
  'long-label': {
    call: 'C_GenerateKey',
    act: aesWith({ type: CKA.CKA_LABEL, value: 'x'.repeat(128) }),
  },
  'descriptive-attribute': {
    call: 'C_GenerateKey',
    act: aesWith({ type: CKA.CKA_START_DATE, value: Buffer.from('20260101') }),
  },
  'flag-without-use': {
    call: 'C_GenerateKeyPair',
    act: ecWith([{ type: CKA.CKA_SIGN, value: true }]),
  },
  'recover-flag': {
    call: 'C_GenerateKeyPair',
    act: ({ module, session }) =>
      module.p11.C_GenerateKeyPair(
        session,
        rsa,
        [
          { type: CKA.CKA_MODULUS_BITS, value: 2048 },
          { type: CKA.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
        ],
        [{ type: CKA.CKA_SIGN_RECOVER, value: true }],
      ),
  },
  'derive-on-public-key': {
    call: 'C_GenerateKeyPair',
    act: ecWith([{ type: CKA.CKA_DERIVE, value: true }]),
  },
  'key-part-repeated': {
    call: 'C_GenerateKeyPair',
    act: ecWith([], [p256]),
  },
  'default-public-exponent': {
    call: 'C_GenerateKeyPair',
    act: ({ module, session }) =>
      module.p11.C_GenerateKeyPair(session, rsa, [{ type: CKA.CKA_MODULUS_BITS, value: 2048 }], []),
  },
  'search-private-false': {
    call: 'C_FindObjectsInit',
    prepare: (module, session, label) =>
      void module.p11.C_GenerateKeyPair(
        session,
        ec,
        [p256, ...label, { type: CKA.CKA_PRIVATE, value: false }],
        [],
      ),
    act: ({ module, session, label }) =>
      find(module, session, [...label, { type: CKA.CKA_PRIVATE, value: false }]).length,
    sameAsCloudHsm: (count) => count === 0,
  },
  'search-empty-label': {
    call: 'C_FindObjectsInit',
    act: ({ module, session }) => find(module, session, [{ type: CKA.CKA_LABEL, value: Buffer.alloc(0) }]),
  },
  'search-certificate-type': {
    call: 'C_FindObjectsInit',
    // As XiPKI did, with IAIK's library, to see whether there are certificates.
    act: ({ module, session }) =>
      find(module, session, [
        { type: CKA.CKA_CLASS, value: pkcs11js.CKO_CERTIFICATE },
        { type: CKA.CKA_CERTIFICATE_TYPE, value: pkcs11js.CKC_X_509 },
      ]),
  },
  'duplicate-id': {
    call: 'C_GenerateKey',
    prepare: (module, session, label) => void aesOnToken(module, session, label, sameId),
    act: aesWith(sameId),
  },
  'certificate-storage': {
    call: 'C_CreateObject',
    act: ({ module, session }) =>
      module.p11.C_CreateObject(session, [
        { type: CKA.CKA_CLASS, value: pkcs11js.CKO_CERTIFICATE },
        { type: CKA.CKA_CERTIFICATE_TYPE, value: pkcs11js.CKC_X_509 },
        { type: CKA.CKA_TOKEN, value: true },
        { type: CKA.CKA_SUBJECT, value: Buffer.from('subject') },
        { type: CKA.CKA_VALUE, value: Buffer.from('certificate') },
      ]),
  },
  'session-wrapping-key': {
    call: 'C_WrapKey',
    act: ({ module, session }) => {
      const wrap = { mechanism: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD };
      const wrapping = generateAes(module, session, 32, [{ type: CKA.CKA_WRAP, value: true }]);
      const target = generateAes(module, session, 32);
      return module.p11.C_WrapKey(session, wrap, wrapping, target, Buffer.alloc(64));
    },
  },
  'set-key-attribute': {
    call: 'C_SetAttributeValue',
    prepare: (module, session, label) => void aesOnToken(module, session, label),
    act: ({ module, session, key }) =>
      module.p11.C_SetAttributeValue(session, key, [{ type: CKA.CKA_ID, value: Buffer.from('changed') }]),
  },
  'weak-ecdsa-hash': {
    call: 'C_SignInit',
    act: ({ module, session }) => {
      const { privateKey } = generateEc(module, session, 'P-384');
      module.p11.C_SignInit(session, { mechanism: CKM.CKM_ECDSA_SHA256 }, privateKey);
      module.p11.C_Sign(session, Buffer.from('data'), Buffer.alloc(96));
    },
  },
  'long-part': {
    call: 'C_EncryptUpdate',
    act: ({ module, session }) => {
      const mechanism = { mechanism: CKM.CKM_AES_ECB };
      module.p11.C_EncryptInit(session, mechanism, generateAes(module, session));
      module.p11.C_EncryptUpdate(session, Buffer.alloc(20_000), Buffer.alloc(20_000));
      module.p11.C_EncryptFinal(session, Buffer.alloc(16));
    },
  },
  'copy-object': {
    call: 'C_CopyObject',
    prepare: (module, session, label) => void aesOnToken(module, session, label),
    act: ({ module, session, key }) =>
      module.p11.C_CopyObject(session, key, [{ type: CKA.CKA_TOKEN, value: false }]),
  },
  'gcm-caller-iv': {
    call: 'C_EncryptInit',
    act: ({ module, session }) => {
      module.p11.C_EncryptInit(session, gcm(Buffer.alloc(12, 7)), generateAes(module, session));
      return module.p11.C_Encrypt(session, Buffer.from('data'), Buffer.alloc(64));
    },
  },
  'oaep-source-pointer': {
    call: 'C_EncryptInit',
    act: ({ module, session }) => {
      const publicTemplate = [
        { type: CKA.CKA_MODULUS_BITS, value: 2048 },
        { type: CKA.CKA_PUBLIC_EXPONENT, value: Buffer.from('010001', 'hex') },
        { type: CKA.CKA_ENCRYPT, value: true },
      ];
      const { publicKey } = module.p11.C_GenerateKeyPair(session, rsa, publicTemplate, []);
      // CK_RSA_PKCS_OAEP_PARAMS{CKM_SHA256, CKG_MGF1_SHA256, 0, pSourceData, 0}.
      const parameter = Buffer.alloc(40);
      for (const [at, member] of [CKM.CKM_SHA256, 2, 0, 1, 0].entries())
        parameter.writeUInt32LE(member, at * 8);
      module.p11.C_EncryptInit(session, { mechanism: CKM.CKM_RSA_PKCS_OAEP, parameter }, publicKey);
      return module.p11.C_Encrypt(session, Buffer.from('data'), Buffer.alloc(256));
    },
  },
  'single-part-mechanism': {
    call: 'C_EncryptUpdate',
    act: ({ module, session }) => {
      module.p11.C_EncryptInit(session, gcm(Buffer.alloc(12)), generateAes(module, session));
      module.p11.C_EncryptUpdate(session, Buffer.from('data'), Buffer.alloc(64));
      return module.p11.C_EncryptFinal(session, Buffer.alloc(64));
    },
  },
  'key-availability-one-hsm': {
    call: 'C_GenerateKey',
    hsms: 1,
    act: aesWith({ type: CKA.CKA_TOKEN, value: true }),
  },
};
