import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKU } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { ROOM_QUERY } from '../../src/wire/arguments.js';
import { memoryEngine, PASSWORD } from '../support/in-process.js';
import { secretTemplate, twoOfTwo } from '../support/key-quorums.js';
import { WireCaller } from '../support/wire-caller.js';

const CKF_SERIAL_SESSION = 4;
const CKF_RW_SESSION = 2;

/**
 * "You can only use a CloudHSM token within the CloudHSM CLI" (user guide, "Key management and usage with quorum authentication"): a
 * program has no way to bring approvals, and "missing quorum" is reported by C_…Init at once (reference, section 6). The code is the
 * standard's closest [guess].
 */
describe('a program that has a key with a quorum', () => {
  const REFUSED = 'CKR_FUNCTION_REJECTED';
  let cluster: Cluster;
  let program: WireCaller;
  let hSession: number;

  beforeEach(async () => {
    const engine = await memoryEngine();
    cluster = engine.cluster;
    const tools = cluster.connect();
    await tools.login('crypto_user', PASSWORD);
    for (const [label, quorum] of [
      ['guarded', twoOfTwo],
      ['managed', { manage: 2, use: 1 }],
      ['free', undefined],
    ] as const)
      await tools.generateKey(
        CKM.CKM_AES_KEY_GEN,
        secretTemplate([attribute(CKA.CKA_LABEL, label)]),
        undefined,
        { sharedWith: ['other_user'], quorum },
      );
    tools.close();
    program = await WireCaller.open(engine.applications);
    await program.call('C_Initialize', { pInitArgs: false });
    const opened = await program.call('C_OpenSession', {
      slotID: 0,
      flags: CKF_SERIAL_SESSION | CKF_RW_SESSION,
      pApplication: false,
      Notify: false,
    });
    hSession = opened.output.phSession!;
    const pPin = Buffer.from(`crypto_user:${PASSWORD}`);
    await program.call('C_Login', { hSession, userType: CKU.CKU_USER, pPin });
  });

  afterEach(() => program.close());

  async function keyOf(label: string): Promise<number> {
    await program.call('C_FindObjectsInit', { hSession, pTemplate: [attribute(CKA.CKA_LABEL, label)] });
    const { output } = await program.call('C_FindObjects', { hSession, phObject: { room: 10, max: 10 } });
    await program.call('C_FindObjectsFinal', { hSession });
    const [handle, ...others] = output.phObject as number[];
    expect(others).to.deep.equal([]);
    return handle!;
  }

  const sign = { type: CKM.CKM_AES_CMAC, parameter: undefined };
  const encrypt = { type: CKM.CKM_AES_CBC, parameter: Buffer.alloc(16) };

  async function answers(label: string): Promise<Record<string, string>> {
    const hKey = await keyOf(label);
    const free = await keyOf('free');
    const wrap = { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, parameter: undefined };
    const room = { hSession, pMechanism: wrap, pWrappedKey: ROOM_QUERY };
    const calls = {
      sign: () => program.call('C_SignInit', { hSession, pMechanism: sign, hKey }),
      encrypt: () => program.call('C_EncryptInit', { hSession, pMechanism: encrypt, hKey }),
      decrypt: () => program.call('C_DecryptInit', { hSession, pMechanism: encrypt, hKey }),
      wrapped: () => program.call('C_WrapKey', { ...room, hWrappingKey: free, hKey }),
      wraps: () => program.call('C_WrapKey', { ...room, hWrappingKey: hKey, hKey: free }),
    };
    const codes: Record<string, string> = {};
    for (const [name, call] of Object.entries(calls)) codes[name] = (await call()).code;
    return codes;
  }

  it('finds it, and neither uses nor wraps it', async () => {
    const all = ['sign', 'encrypt', 'decrypt', 'wrapped', 'wraps'];
    expect(await answers('guarded')).to.deep.equal(Object.fromEntries(all.map((name) => [name, REFUSED])));
  });

  it('uses it where only its management takes approvals', async () => {
    const answered = await answers('managed');
    expect(answered).to.include({ sign: 'CKR_OK', encrypt: 'CKR_OK', decrypt: 'CKR_OK' });
    expect(answered).to.include({ wrapped: REFUSED, wraps: REFUSED });
  });

  it('deletes it as any other key', async () => {
    const hObject = await keyOf('guarded');
    expect((await program.call('C_DestroyObject', { hSession, hObject })).code).to.equal('CKR_OK');
  });
});
