import type { Applications } from '../../src/bridge/applications.js';
import type { Mechanism } from '../../src/pkcs11/layouts.js';
import type { CallName } from '../../src/wire/calls.js';
import { PASSWORD } from './in-process.js';
import { aesKey, flags, genericKey, template, type Value } from './program.js';
import { WireCaller } from './wire-caller.js';

/** What its keys are made of. */
export const VALUE = Buffer.alloc(32, 5);
export const DATA = Buffer.alloc(48, 'data');
export const ROOM = 4096;

/** A program with a session, whose frames the engine may answer by itself. */
export class Signer {
  private constructor(
    readonly wire: WireCaller,
    readonly hSession: number,
  ) {}

  static async open(applications: Applications, user = 'crypto_user'): Promise<Signer> {
    const wire = await WireCaller.open(applications);
    const opened = { slotID: 0, flags: 6, pApplication: false, Notify: false };
    const { output } = await wire.call('C_OpenSession', opened);
    const signer = new Signer(wire, output.phSession!);
    const pPin = Buffer.from(`${user}:${PASSWORD}`);
    await signer.must('C_Login', { userType: 1, pPin });
    return signer;
  }

  async call(name: CallName, input: object): Promise<{ code: string; output: Record<string, unknown> }> {
    return this.wire.call(name, { hSession: this.hSession, ...input } as never);
  }

  async must(name: CallName, input: object): Promise<Record<string, unknown>> {
    const { code, output } = await this.call(name, input);
    if (code !== 'CKR_OK') throw new Error(`${name} answered ${code}`);
    return output;
  }

  async create(values: Parameters<typeof template>[0]): Promise<number> {
    return (await this.must('C_CreateObject', { pTemplate: template(values) }))['phObject'] as number;
  }

  hmacKey(values: Record<string, Value> = {}): Promise<number> {
    return this.create({ ...genericKey, CKA_VALUE: VALUE, ...flags('CKA_SIGN', 'CKA_VERIFY'), ...values });
  }

  aesKey(values: Record<string, Value> = {}): Promise<number> {
    return this.create({ ...aesKey, CKA_VALUE: VALUE, ...flags('CKA_ENCRYPT', 'CKA_DECRYPT'), ...values });
  }

  signInit(hKey: number, pMechanism: Mechanism) {
    return this.call('C_SignInit', { hKey, pMechanism });
  }

  async sign(hKey: number, pMechanism: Mechanism, pData = DATA): Promise<Buffer> {
    await this.must('C_SignInit', { hKey, pMechanism });
    return (await this.must('C_Sign', { pData, pSignature: ROOM }))['pSignature'] as Buffer;
  }

  /** What is encrypted, and the IV if the HSM has made one. */
  async encrypt(hKey: number, pMechanism: Mechanism, pData = DATA): Promise<{ sealed: Buffer; iv: Buffer }> {
    const iv = (await this.must('C_EncryptInit', { hKey, pMechanism }))['pMechanism'] as Buffer;
    const sealed = (await this.must('C_Encrypt', { pData, pEncryptedData: ROOM }))[
      'pEncryptedData'
    ] as Buffer;
    return { sealed, iv };
  }

  async decrypt(hKey: number, pMechanism: Mechanism, pEncryptedData: Buffer): Promise<Buffer> {
    await this.must('C_DecryptInit', { hKey, pMechanism });
    return (await this.must('C_Decrypt', { pEncryptedData, pData: ROOM }))['pData'] as Buffer;
  }
}
