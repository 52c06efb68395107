/* Run by clients.ts as a process of its own: PIN in CLOUDHSM_PIN, module in PKCS11_MODULE_PATH, what to do as the one word. */
import graphene from 'graphene-pk11';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../../src/pkcs11/attributes.js';

const { KeyGenMechanism, KeyType, SessionFlag, NamedCurve } = graphene;
const modulePath = process.env['PKCS11_MODULE_PATH']!;
const pin = process.env['CLOUDHSM_PIN']!;

const p11 = new pkcs11js.PKCS11();
const flags = (...types: number[]) => types.map((type) => ({ type, value: true }));
const rsa = { mechanism: pkcs11js.CKM_RSA_X9_31_KEY_PAIR_GEN };
const aes = { mechanism: pkcs11js.CKM_AES_KEY_GEN };
const size = [
  { type: CKA.CKA_MODULUS_BITS, value: 2048 },
  { type: CKA.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
];

function withPkcs11js(work: (session: Buffer) => void): void {
  p11.load(modulePath);
  p11.C_Initialize();
  const session = p11.C_OpenSession(p11.C_GetSlotList(true)[0]!, 6);
  p11.C_Login(session, pkcs11js.CKU_USER, pin);
  work(session);
  p11.C_Finalize();
}

function withGraphene(work: (session: graphene.Session) => void): void {
  const module = graphene.Module.load(modulePath, 'CloudHSM');
  module.initialize();
  const session = module.getSlots(0, true).open(SessionFlag.RW_SESSION | SessionFlag.SERIAL_SESSION);
  session.login(pin);
  work(session);
  module.finalize();
}

/** Keys on the token for the other clients: as CloudHSM wants them, so that every profile has them. */
function prepare(session: Buffer): void {
  const named = (label: string, id: string) => [
    { type: CKA.CKA_TOKEN, value: true },
    { type: CKA.CKA_LABEL, value: label },
    { type: CKA.CKA_ID, value: Buffer.from(id, 'hex') },
  ];
  const rsaKey = named('profile-rsa', '51');
  p11.C_GenerateKeyPair(
    session,
    rsa,
    [...size, ...rsaKey, ...flags(CKA.CKA_VERIFY)],
    [...rsaKey, ...flags(CKA.CKA_SIGN)],
  );
  const aesKey = [...named('profile-aes', '52'), { type: CKA.CKA_VALUE_LEN, value: 32 }];
  p11.C_GenerateKey(session, aes, [...aesKey, ...flags(CKA.CKA_ENCRYPT, CKA.CKA_DECRYPT)]);
}

/** A program written to CloudHSM's documentation. */
const documented = {
  'key-pair': (session: Buffer) =>
    void p11.C_GenerateKeyPair(
      session,
      rsa,
      [...size, ...flags(CKA.CKA_VERIFY)],
      flags(CKA.CKA_SIGN, CKA.CKA_SENSITIVE),
    ),
  sign: (session: Buffer) => {
    p11.C_FindObjectsInit(session, [
      { type: CKA.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY },
      { type: CKA.CKA_LABEL, value: 'profile-rsa' },
    ]);
    const [key] = p11.C_FindObjects(session, 1);
    p11.C_FindObjectsFinal(session);
    p11.C_SignInit(session, { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS }, key!);
    p11.C_Sign(session, Buffer.from('data'), Buffer.alloc(256));
  },
  'gcm-hsm-iv': (session: Buffer) => encryptWithGcm(session, Buffer.alloc(12)),
  'gcm-own-iv': (session: Buffer) => encryptWithGcm(session, Buffer.alloc(12, 7)),
};

function encryptWithGcm(session: Buffer, iv: Buffer): void {
  const key = p11.C_GenerateKey(session, aes, [
    { type: CKA.CKA_VALUE_LEN, value: 32 },
    ...flags(CKA.CKA_ENCRYPT),
  ]);
  const parameter = { type: pkcs11js.CK_PARAMS_AES_GCM_v240, iv, ivBits: 0, tagBits: 128 };
  p11.C_EncryptInit(session, { mechanism: pkcs11js.CKM_AES_GCM, parameter }, key);
  p11.C_Encrypt(session, Buffer.from('data'), Buffer.alloc(32));
}

/** graphene, with the least that it wants to be told. */
const withLeast = {
  'key-pair': (session: graphene.Session) =>
    void session.generateKeyPair(
      KeyGenMechanism.EC,
      { keyType: KeyType.EC, verify: true, paramsECDSA: NamedCurve.getByName('secp256r1').value },
      { keyType: KeyType.EC, sign: true },
    ),
  sign: (session: graphene.Session) => {
    const key = session.find({ class: graphene.ObjectClass.PRIVATE_KEY, label: 'profile-rsa' }).items(0);
    session.createSign('SHA256_RSA_PKCS', key.toType<graphene.PrivateKey>()).once(Buffer.from('data'));
  },
  'encrypt-cbc': (session: graphene.Session) => {
    const key = session.generateKey(KeyGenMechanism.AES, {
      keyType: KeyType.AES,
      valueLen: 32,
      encrypt: true,
      decrypt: true,
    });
    const cipher = session.createCipher({ name: 'AES_CBC_PAD', params: Buffer.alloc(16, 1) }, key);
    cipher.update(Buffer.from('data'));
    cipher.final();
  },
};

const [library, task] = (process.argv[2] ?? '').split(':');
if (library === 'prepare') withPkcs11js(prepare);
else if (library === 'pkcs11js') withPkcs11js(documented[task as keyof typeof documented]);
else withGraphene(withLeast[task as keyof typeof withLeast]);
