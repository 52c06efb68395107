import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { Applications } from '../../src/bridge/applications.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import { callCounts } from '../../src/cryptoki/dispatch.js';
import { CKG } from '../../src/pkcs11/constants.js';
import type { Mechanism } from '../../src/pkcs11/layouts.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { loggedIn, memoryEngine } from '../support/in-process.js';
import { curveOids } from '../support/keys.js';
import { flags, mechanism, template } from '../support/program.js';
import { watchSentCommands } from '../support/sent-commands.js';
import { DATA, Signer } from '../support/signer.js';

interface Keys {
  readonly signs: number;
  readonly verifies: number;
}

const HMAC = mechanism('CKM_SHA256_HMAC');
const PSS = {
  layout: 'CK_RSA_PKCS_PSS_PARAMS',
  hashAlg: CKM.CKM_SHA256,
  mgf: CKG.CKG_MGF1_SHA256,
  sLen: 32,
} as const;

describe('verifications that a program repeats', () => {
  let applications: Applications;
  let cluster: Cluster;
  let program: Signer;
  const sent = watchSentCommands();

  beforeEach(async () => {
    ({ applications, cluster } = await memoryEngine());
    program = await Signer.open(applications);
  });
  afterEach(() => program.wire.close());

  async function verify(key: number, how: Mechanism, pData: Buffer, pSignature: Buffer): Promise<string> {
    await program.must('C_VerifyInit', { hKey: key, pMechanism: how });
    return (await program.call('C_Verify', { pData, pSignature })).code;
  }
  async function macKey(values = {}): Promise<Keys> {
    const key = await program.hmacKey(values);
    return { signs: key, verifies: key };
  }
  async function pair(
    how: 'CKM_EC_KEY_PAIR_GEN' | 'CKM_RSA_PKCS_KEY_PAIR_GEN',
    values: object,
  ): Promise<Keys> {
    const made = await program.must('C_GenerateKeyPair', {
      pMechanism: mechanism(how),
      pPublicKeyTemplate: template({ ...values, ...flags('CKA_VERIFY') }),
      pPrivateKeyTemplate: template(flags('CKA_SIGN')),
    });
    return { signs: made['phPrivateKey'] as number, verifies: made['phPublicKey'] as number };
  }
  const p256 = () => pair('CKM_EC_KEY_PAIR_GEN', { CKA_EC_PARAMS: Buffer.from(curveOids['P-256'], 'hex') });
  const rsa = () => pair('CKM_RSA_PKCS_KEY_PAIR_GEN', { CKA_MODULUS_BITS: 2048 });
  const hash = (text: string) => createHash('sha256').update(text).digest();

  const kinds: Record<string, { keys: () => Promise<Keys>; how: Mechanism; takesHash?: true }> = {
    HMAC: { keys: macKey, how: HMAC },
    'AES-CMAC': {
      keys: async () => {
        const key = await program.aesKey(flags('CKA_SIGN', 'CKA_VERIFY'));
        return { signs: key, verifies: key };
      },
      how: mechanism('CKM_AES_CMAC'),
    },
    'ECDSA with P-256': { keys: p256, how: mechanism('CKM_ECDSA'), takesHash: true },
    'ECDSA with P-256, hashed first': { keys: p256, how: mechanism('CKM_ECDSA_SHA256') },
    'RSA PKCS#1': { keys: rsa, how: mechanism('CKM_RSA_PKCS'), takesHash: true },
    'RSA PKCS#1, hashed first': { keys: rsa, how: mechanism('CKM_SHA256_RSA_PKCS') },
    'RSA PSS': { keys: rsa, how: mechanism('CKM_SHA256_RSA_PKCS_PSS', PSS) },
  };
  for (const [title, { keys, how, takesHash }] of Object.entries(kinds)) {
    it(`come out as they do one by one: ${title}`, async () => {
      const { signs, verifies } = await keys();
      const dataOf = (text: string) => (takesHash ? hash(text) : Buffer.from(text));
      const data = [dataOf('data'), dataOf('other data')] as const;
      const [first, second] = [
        await program.sign(signs, how, data[0]),
        await program.sign(signs, how, data[1]),
      ];
      await sent.untilRepeated(() => verify(verifies, how, data[0], first));
      expect(await verify(verifies, how, data[1], second)).to.equal('CKR_OK');
      expect(sent.names).to.deep.equal([]);
      expect(await verify(verifies, how, data[1], first)).to.equal('CKR_SIGNATURE_INVALID');
      const changed = Buffer.from(first);
      changed[changed.length - 1]! ^= 1;
      for (const [wrong, code] of [
        [changed, 'CKR_SIGNATURE_INVALID'],
        [Buffer.alloc(first.length), 'CKR_SIGNATURE_INVALID'],
        [first.subarray(1), 'CKR_SIGNATURE_LEN_RANGE'],
        [Buffer.concat([first, Buffer.alloc(1)]), 'CKR_SIGNATURE_LEN_RANGE'],
        [Buffer.alloc(0), 'CKR_SIGNATURE_LEN_RANGE'],
      ] as const) {
        for (let time = 0; time < 70; time++)
          expect(await verify(verifies, how, data[0], first)).to.equal('CKR_OK');
        expect(await verify(verifies, how, data[0], wrong)).to.equal(code);
        const over = await program.call('C_Verify', { pData: data[0], pSignature: first });
        expect(over.code).to.equal('CKR_OPERATION_NOT_INITIALIZED');
      }
    });
  }

  it('of ECDSA signatures whose halves are short get their zeros', async () => {
    const { signs, verifies } = await p256();
    const how = mechanism('CKM_ECDSA_SHA256');
    const signature = await program.sign(signs, how);
    await sent.untilRepeated(() => verify(verifies, how, DATA, signature));
    const cut = Buffer.concat([signature.subarray(1, 32), signature.subarray(33)]);
    expect(await verify(verifies, how, DATA, cut)).to.equal('CKR_SIGNATURE_INVALID');
  });

  it('go on in parts', async () => {
    const { signs, verifies } = await macKey();
    const mac = await program.sign(signs, HMAC);
    await sent.untilRepeated(() => verify(verifies, HMAC, DATA, mac));
    await program.must('C_VerifyInit', { hKey: verifies, pMechanism: HMAC });
    await program.must('C_VerifyUpdate', { pPart: DATA.subarray(0, 5) });
    await program.must('C_VerifyUpdate', { pPart: DATA.subarray(5) });
    await program.must('C_VerifyFinal', { pSignature: mac });
  });

  it('are counted as calls and as commands, each one', async () => {
    const { signs, verifies } = await macKey();
    const mac = await program.sign(signs, HMAC);
    const counts = (): number[] => [
      ...['C_VerifyInit', 'C_Verify'].map(
        (name) => callCounts().find(({ call }) => call === name)?.count ?? 0,
      ),
      ...(['describeKey', 'verify'] as const).map((name) =>
        cluster.hsms.reduce((sum, hsm) => sum + (new Map(hsm.commandCounts()).get(name) ?? 0), 0),
      ),
    ];
    const [inits, calls, described, verified] = counts() as [number, number, number, number];
    for (let time = 0; time < 50; time++) await verify(verifies, HMAC, DATA, mac);
    await verify(verifies, HMAC, DATA, Buffer.alloc(32));
    expect(counts()).to.deep.equal([inits + 51, calls + 51, described + 51, verified + 51]);
  });

  const endings: Record<string, { end: (key: number) => unknown; code: string }> = {
    'the key is destroyed': {
      end: (key) => program.must('C_DestroyObject', { hObject: key }),
      code: 'CKR_KEY_HANDLE_INVALID',
    },
    'another program destroys it': {
      end: async (key) => {
        const other = await Signer.open(applications);
        await other.must('C_DestroyObject', { hObject: key });
        other.wire.close();
      },
      code: 'CKR_KEY_HANDLE_INVALID',
    },
    'another connection forbids it': {
      end: async (key) => {
        for (const hsm of cluster.hsms) {
          const connection = await loggedIn(hsm, 'crypto_user', 'CU');
          await connection.send('setAttributes', { handle: key, template: template({ CKA_VERIFY: false }) });
          connection.close();
        }
      },
      code: 'CKR_KEY_FUNCTION_NOT_PERMITTED',
    },
    'the program logs out': { end: () => program.must('C_Logout', {}), code: 'CKR_USER_NOT_LOGGED_IN' },
  };
  for (const [what, { end, code }] of Object.entries(endings)) {
    it(`are refused once ${what}`, async () => {
      const { signs, verifies } = await macKey({ CKA_TOKEN: true });
      const mac = await program.sign(signs, HMAC);
      await sent.untilRepeated(() => verify(verifies, HMAC, DATA, mac));
      await end(verifies);
      expect((await program.call('C_VerifyInit', { hKey: verifies, pMechanism: HMAC })).code).to.equal(code);
    });

    it(`that were begun are refused once ${what}`, async () => {
      const { signs, verifies } = await macKey({ CKA_TOKEN: true });
      const mac = await program.sign(signs, HMAC);
      await sent.untilRepeated(() => verify(verifies, HMAC, DATA, mac));
      await program.must('C_VerifyInit', { hKey: verifies, pMechanism: HMAC });
      await end(verifies);
      const { code: answered } = await program.call('C_Verify', { pData: DATA, pSignature: mac });
      const over = 'CKR_OPERATION_NOT_INITIALIZED';
      expect(answered).to.equal(code === 'CKR_USER_NOT_LOGGED_IN' ? over : code);
    });
  }
});
