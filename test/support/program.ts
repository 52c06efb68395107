import { silentLog } from '../../src/base/log.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import { Application } from '../../src/cryptoki/application.js';
import { encryptionCalls } from '../../src/cryptoki/calls/encryption.js';
import { keyCalls } from '../../src/cryptoki/calls/keys.js';
import { objectCalls } from '../../src/cryptoki/calls/objects.js';
import { sessionCalls } from '../../src/cryptoki/calls/sessions.js';
import { signingCalls } from '../../src/cryptoki/calls/signing.js';
import { wrappingCalls } from '../../src/cryptoki/calls/wrapping.js';
import type { SessionCall } from '../../src/cryptoki/handler.js';
import { slotsFor } from '../../src/cryptoki/library.js';
import { silentLibraryLog } from '../../src/cryptoki/library-log.js';
import { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import type { Session } from '../../src/cryptoki/session.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKG, CKK, CKO } from '../../src/pkcs11/constants.js';
import type { Mechanism, MechanismParameter } from '../../src/pkcs11/layouts.js';
import { CKM, type MechanismName } from '../../src/pkcs11/mechanisms.js';
import { type Attribute, attribute, type Template } from '../../src/pkcs11/template.js';
import { type CallInput, type CallOutput, ROOM_QUERY, type Room } from '../../src/wire/arguments.js';
import { type ClusterOptions, memoryCluster, PASSWORD } from './in-process.js';

const NOTHING = Buffer.alloc(0);

const handlers = {
  ...sessionCalls,
  ...objectCalls,
  ...keyCalls,
  ...encryptionCalls,
  ...signingCalls,
  ...wrappingCalls,
};
type Call = keyof typeof handlers & SessionCall;

export type Value = boolean | number | string | Uint8Array | Template;

/** A template from names: `{ CKA_TOKEN: true, CKA_WRAP_TEMPLATE: template({ … }) }`. */
export function template(values: Partial<Record<keyof typeof CKA, Value>>): Template {
  return Object.entries(values).map(([name, value]): Attribute => {
    const type = CKA[name as keyof typeof CKA];
    if (Array.isArray(value)) return { type, value: Buffer.alloc(0), nested: value };
    return attribute(type, value as Exclude<Value, Template>);
  });
}

export const mechanism = (name: MechanismName, parameter?: MechanismParameter): Mechanism => ({
  type: CKM[name],
  parameter,
});

export const flags = (...names: (keyof typeof CKA)[]): Partial<Record<keyof typeof CKA, true>> =>
  Object.fromEntries(names.map((name) => [name, true]));

/** What C_UnwrapKey and C_CreateObject need to know of a key. */
export interface KeyKind {
  readonly CKA_CLASS: number;
  readonly CKA_KEY_TYPE: number;
}
export const aesKey: KeyKind = { CKA_CLASS: CKO.CKO_SECRET_KEY, CKA_KEY_TYPE: CKK.CKK_AES };
export const genericKey: KeyKind = { CKA_CLASS: CKO.CKO_SECRET_KEY, CKA_KEY_TYPE: CKK.CKK_GENERIC_SECRET };
export const rsaPrivateKey: KeyKind = { CKA_CLASS: CKO.CKO_PRIVATE_KEY, CKA_KEY_TYPE: CKK.CKK_RSA };
export const ecPrivateKey: KeyKind = { CKA_CLASS: CKO.CKO_PRIVATE_KEY, CKA_KEY_TYPE: CKK.CKK_EC };

export const gcm = (iv: Buffer, aad: Buffer = NOTHING, tagBits = 128): MechanismParameter => ({
  layout: 'CK_GCM_PARAMS',
  pIv: iv,
  ulIvBits: 0,
  pAAD: aad,
  ulTagBits: tagBits,
});
/** SHA-256, no label. */
export const oaep = {
  layout: 'CK_RSA_PKCS_OAEP_PARAMS',
  hashAlg: CKM.CKM_SHA256,
  mgf: CKG.CKG_MGF1_SHA256,
  source: 0,
  pSourceData: NOTHING,
  sourceGiven: false,
} as const;
export const rsaAes = (ulAESKeyBits: number): MechanismParameter => ({
  layout: 'CK_RSA_AES_KEY_WRAP_PARAMS',
  ulAESKeyBits,
  pOAEPParams: oaep,
});

/** A program that has called C_Initialize, C_OpenSession and C_Login, in this process: its calls reach the handlers
 * without the module. */
export class Program {
  private constructor(
    readonly cluster: Cluster,
    readonly application: Application,
    readonly session: Session,
  ) {}

  static async start(options: ClusterOptions & { user?: string } = {}): Promise<Program> {
    return Program.on(await memoryCluster(options), options);
  }

  /** Another program on the same cluster. */
  static async on(
    cluster: Cluster,
    { profile = 'compatible', user = 'crypto_user' }: ClusterOptions & { user?: string } = {},
  ): Promise<Program> {
    const application = new Application(
      { pid: 1, program: 'test' },
      {
        slots: slotsFor({ clusters: [cluster], profile }, undefined),
        log: silentLibraryLog,
        readiness: new ReadinessRecord(silentLog),
      },
    );
    const session = application.openSession(0, true);
    await application.login(session, user, PASSWORD);
    return new Program(cluster, application, session);
  }

  /** Calls a function of PKCS#11 on the program's session. Rejects with a Failure. */
  async call<N extends Call>(name: N, input: Omit<CallInput<N>, 'hSession'>): Promise<CallOutput<N>> {
    const handler = handlers[name] as unknown as (
      session: Session,
      input: unknown,
      application: Application,
    ) => unknown;
    return (await handler(this.session, input, this.application)) as CallOutput<N>;
  }

  async create(values: Parameters<typeof template>[0]): Promise<number> {
    return (await this.call('C_CreateObject', { pTemplate: template(values) })).phObject;
  }

  async generateAes(values: Parameters<typeof template>[0] = {}): Promise<number> {
    const pTemplate = template({ CKA_VALUE_LEN: 32, ...values });
    return (await this.call('C_GenerateKey', { pMechanism: mechanism('CKM_AES_KEY_GEN'), pTemplate })).phKey;
  }

  async wrap(wrappingKey: number, how: Mechanism, key: number): Promise<{ wrapped: Buffer; iv?: Buffer }> {
    const answer = await this.wrapInto(4096, wrappingKey, how, key);
    const iv = answer.pMechanism;
    return { wrapped: answer.pWrappedKey as Buffer, ...(iv && { iv }) };
  }

  wrapInto(
    room: Room,
    hWrappingKey: number,
    pMechanism: Mechanism,
    hKey: number,
  ): Promise<CallOutput<'C_WrapKey'>> {
    return this.call('C_WrapKey', { pMechanism, hWrappingKey, hKey, pWrappedKey: room });
  }

  async wrappedBytes(wrappingKey: number, how: Mechanism, key: number): Promise<number> {
    return (await this.wrapInto(ROOM_QUERY, wrappingKey, how, key)).pWrappedKey.length;
  }

  async unwrap(
    hUnwrappingKey: number,
    pMechanism: Mechanism,
    pWrappedKey: Buffer,
    values: Parameters<typeof template>[0],
  ): Promise<number> {
    const pTemplate = template(values);
    return (await this.call('C_UnwrapKey', { pMechanism, hUnwrappingKey, pWrappedKey, pTemplate })).phKey;
  }

  /** One attribute's bytes; undefined where the answer has none. */
  async read(hObject: number, name: keyof typeof CKA): Promise<Buffer | undefined> {
    const pTemplate = [{ type: CKA[name], room: 1 << 20 }];
    return (await this.call('C_GetAttributeValue', { hObject, pTemplate })).pTemplate[0]!.value;
  }

  async readBool(object: number, name: keyof typeof CKA): Promise<boolean | undefined> {
    const value = await this.read(object, name);
    return value && value[0] === 1;
  }

  async encrypt(key: number, how: Mechanism, data: Buffer): Promise<Buffer> {
    await this.call('C_EncryptInit', { pMechanism: how, hKey: key });
    return (await this.call('C_Encrypt', { pData: data, pEncryptedData: 1 << 20 })).pEncryptedData as Buffer;
  }

  async decrypt(key: number, how: Mechanism, data: Buffer): Promise<Buffer> {
    await this.call('C_DecryptInit', { pMechanism: how, hKey: key });
    return (await this.call('C_Decrypt', { pEncryptedData: data, pData: 1 << 20 })).pData as Buffer;
  }

  /** Sets CKA_TRUSTED as an admin does with CloudHSM's tools. */
  async trust(key: number, trusted = true): Promise<void> {
    const admin = this.cluster.connect();
    await admin.login('admin', PASSWORD, 'CO');
    await admin.setKeyAttribute(key, attribute(CKA.CKA_TRUSTED, trusted));
    admin.close();
  }

  close(): void {
    this.application.close();
  }
}
