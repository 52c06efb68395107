import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import { expect } from 'chai';
import type { Applications } from '../../src/bridge/applications.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import { callCounts } from '../../src/cryptoki/dispatch.js';
import type { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import type { Mechanism, MechanismParameter } from '../../src/pkcs11/layouts.js';
import { ROOM_QUERY } from '../../src/wire/arguments.js';
import { type ClusterOptions, loggedIn, memoryEngine } from '../support/in-process.js';
import { newQuorumKey, twoOfTwo } from '../support/key-quorums.js';
import { flags, gcm, mechanism, template } from '../support/program.js';
import { watchSentCommands } from '../support/sent-commands.js';
import { DATA, ROOM, Signer, VALUE } from '../support/signer.js';
import { WireCaller } from '../support/wire-caller.js';

const hmacOf = (data: Buffer): Buffer => createHmac('sha256', VALUE).update(data).digest();
const HMAC = mechanism('CKM_SHA256_HMAC');

describe('operations that a program repeats', () => {
  let applications: Applications;
  let cluster: Cluster;
  let readiness: ReadinessRecord;
  let program: Signer;
  const sent = watchSentCommands();

  async function start(options: ClusterOptions = {}): Promise<void> {
    ({ applications, cluster, readiness } = await memoryEngine(options));
    program = await Signer.open(applications);
  }
  beforeEach(() => start());
  afterEach(() => program.wire.close());

  const hsms = (): readonly Hsm[] => cluster.hsms;
  describe('come out as they do one by one', () => {
    it('HMAC', async () => {
      const key = await program.hmacKey();
      await sent.untilRepeated(() => program.sign(key, HMAC));
      for (const lengthBytes of [0, 1, 64, 5000]) {
        const data = Buffer.alloc(lengthBytes, 'x');
        expect(await program.sign(key, HMAC, data)).to.deep.equal(hmacOf(data));
      }
      expect(sent.names).to.deep.equal([]);
    });

    it('AES-CMAC', async () => {
      const key = await program.aesKey(flags('CKA_SIGN'));
      const first = await program.sign(key, mechanism('CKM_AES_CMAC'));
      await sent.untilRepeated(() => program.sign(key, mechanism('CKM_AES_CMAC')));
      expect(await program.sign(key, mechanism('CKM_AES_CMAC'))).to.deep.equal(first);
    });

    it('ECDSA, of a hash and of data that is hashed first', async () => {
      const P256 = Buffer.from('06082a8648ce3d030107', 'hex');
      const pair = await program.must('C_GenerateKeyPair', {
        pMechanism: mechanism('CKM_EC_KEY_PAIR_GEN'),
        pPublicKeyTemplate: template({ CKA_EC_PARAMS: P256, ...flags('CKA_VERIFY') }),
        pPrivateKeyTemplate: template(flags('CKA_SIGN')),
      });
      const key = pair['phPrivateKey'] as number;
      const check = async (how: Mechanism, pData: Buffer, pSignature: Buffer) => {
        await program.must('C_VerifyInit', { hKey: pair['phPublicKey'], pMechanism: how });
        await program.must('C_Verify', { pData, pSignature });
      };
      const digest = createHash('sha256').update(DATA).digest();
      await sent.untilRepeated(() => program.sign(key, mechanism('CKM_ECDSA'), digest));
      const raw = await program.sign(key, mechanism('CKM_ECDSA'), digest);
      for (let time = 0; time < 5; time++) await program.sign(key, mechanism('CKM_ECDSA_SHA256'));
      await check(mechanism('CKM_ECDSA_SHA256'), DATA, raw);
      await check(mechanism('CKM_ECDSA'), digest, await program.sign(key, mechanism('CKM_ECDSA_SHA256')));
    });

    it('AES-CBC with another IV each time, both ways', async () => {
      const key = await program.aesKey();
      let counter = 0;
      const once = async () => {
        const iv = Buffer.alloc(16, ++counter);
        const { sealed } = await program.encrypt(key, mechanism('CKM_AES_CBC_PAD', iv));
        const cipher = createCipheriv('aes-256-cbc', VALUE, iv);
        expect(sealed).to.deep.equal(Buffer.concat([cipher.update(DATA), cipher.final()]));
        const whole = createCipheriv('aes-256-cbc', VALUE, iv).setAutoPadding(false);
        const bare = Buffer.concat([whole.update(DATA), whole.final()]);
        expect(await program.decrypt(key, mechanism('CKM_AES_CBC', iv), bare)).to.deep.equal(DATA);
      };
      await sent.untilRepeated(once);
    });

    const opened = (sealed: Buffer, iv: Buffer, aad: Buffer): Buffer => {
      const decipher = createDecipheriv('aes-256-gcm', VALUE, iv).setAAD(aad);
      decipher.setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    };

    it("AES-GCM with IVs of the HSM's own, never one twice", async () => {
      const key = await program.aesKey();
      const aad = Buffer.from('order 7');
      const ivs = new Set<string>();
      const once = async () => {
        const { sealed, iv } = await program.encrypt(
          key,
          mechanism('CKM_AES_GCM', gcm(Buffer.alloc(12), aad)),
        );
        expect(opened(sealed, iv, aad)).to.deep.equal(DATA);
        ivs.add(iv.toString('hex'));
      };
      await sent.untilRepeated(once);
      for (let time = 0; time < 20; time++) await once();
      expect(ivs.size).to.equal(26);
      expect(readiness.uses().map(({ deviation }) => deviation)).not.to.include('gcm-caller-iv');
    });

    it("AES-GCM with the program's IVs, of which each is reported", async () => {
      const key = await program.aesKey();
      const aad = Buffer.from('order 7');
      let counter = 0;
      const once = async () => {
        const iv = Buffer.alloc(12, ++counter);
        const how = mechanism('CKM_AES_GCM', gcm(iv, aad));
        const { sealed } = await program.encrypt(key, how);
        expect(opened(sealed, iv, aad)).to.deep.equal(DATA);
        expect(await program.decrypt(key, how, sealed)).to.deep.equal(DATA);
      };
      await sent.untilRepeated(once);
      const use = readiness.uses().find(({ deviation }) => deviation === 'gcm-caller-iv');
      expect(use).to.include({ count: counter, call: 'C_EncryptInit' });
      // Zeros ask for an IV of the HSM.
      const zeros = await program.encrypt(key, mechanism('CKM_AES_GCM', gcm(Buffer.alloc(12), aad)));
      expect(zeros.iv).to.have.length(12);
      expect(opened(zeros.sealed, zeros.iv, aad)).to.deep.equal(DATA);
    });
  });

  describe('are answered otherwise as they would have been', () => {
    it('a wrong tag', async () => {
      const key = await program.aesKey();
      const how = (fill: number): Mechanism => mechanism('CKM_AES_GCM', gcm(Buffer.alloc(12, fill)));
      const { sealed } = await program.encrypt(key, how(1));
      await sent.untilRepeated(() => program.decrypt(key, how(1), sealed));
      await program.must('C_DecryptInit', { hKey: key, pMechanism: how(2) });
      const wrong = await program.call('C_Decrypt', { pEncryptedData: sealed, pData: ROOM });
      expect(wrong.code).to.equal('CKR_ENCRYPTED_DATA_INVALID');
      const again = await program.call('C_Decrypt', { pEncryptedData: sealed, pData: ROOM });
      expect(again.code).to.equal('CKR_OPERATION_NOT_INITIALIZED');
    });

    it('too much data, or none for a signature, and blocks that are not whole', async () => {
      const [mac, aes] = [await program.hmacKey(), await program.aesKey()];
      const cbc = mechanism('CKM_AES_CBC', Buffer.alloc(16, 1));
      await sent.untilRepeated(() => program.sign(mac, HMAC));
      await program.signInit(mac, HMAC);
      const long = await program.call('C_Sign', { pData: Buffer.alloc(100_000), pSignature: ROOM });
      expect(long.code).to.equal('CKR_DATA_LEN_RANGE');
      await sent.untilRepeated(() => program.encrypt(aes, cbc));
      await program.must('C_EncryptInit', { hKey: aes, pMechanism: cbc });
      const ragged = await program.call('C_Encrypt', { pData: Buffer.alloc(17), pEncryptedData: ROOM });
      expect(ragged.code).to.equal('CKR_DATA_LEN_RANGE');
    });

    it('a second Init, and a room that is too small', async () => {
      const key = await program.hmacKey();
      await sent.untilRepeated(() => program.sign(key, HMAC));
      await program.signInit(key, HMAC);
      expect((await program.signInit(key, HMAC)).code).to.equal('CKR_OPERATION_ACTIVE');
      const small = await program.call('C_Sign', { pData: DATA, pSignature: 31 });
      expect(small.code).to.equal('CKR_BUFFER_TOO_SMALL');
      expect(small.output['pSignature']).to.deep.equal({ length: 32 });
      const { pSignature } = await program.must('C_Sign', { pData: DATA, pSignature: 32 });
      expect(pSignature).to.deep.equal(hmacOf(DATA));
    });

    it('the length first, and then in parts', async () => {
      const key = await program.hmacKey();
      await sent.untilRepeated(() => program.sign(key, HMAC));
      await program.signInit(key, HMAC);
      const asked = await program.must('C_Sign', { pData: DATA, pSignature: ROOM_QUERY });
      expect(asked['pSignature']).to.deep.equal({ length: 32 });
      expect(sent.names).to.deep.equal([]);
      await program.must('C_SignUpdate', { pPart: DATA });
      const { pSignature } = await program.must('C_SignFinal', { pSignature: ROOM });
      expect(pSignature).to.deep.equal(hmacOf(DATA));
    });

    it("an operation in parts, under the HSM's IV that the program was given", async () => {
      const key = await program.aesKey();
      const how = mechanism('CKM_AES_GCM', gcm(Buffer.alloc(12)));
      await sent.untilRepeated(() => program.encrypt(key, how));
      const iv = (await program.must('C_EncryptInit', { hKey: key, pMechanism: how }))[
        'pMechanism'
      ] as Buffer;
      await program.must('C_EncryptUpdate', { pPart: DATA, pEncryptedPart: ROOM });
      const { pLastEncryptedPart } = await program.must('C_EncryptFinal', { pLastEncryptedPart: ROOM });
      const sealed = pLastEncryptedPart as Buffer;
      const plain = await program.decrypt(key, mechanism('CKM_AES_GCM', gcm(iv)), sealed);
      expect(plain).to.deep.equal(DATA);
    });
  });

  describe('are no longer repeated', () => {
    const cases: Record<string, { end: (key: number) => Promise<unknown>; code: string }> = {
      'when the key is destroyed': {
        end: (key) => program.must('C_DestroyObject', { hObject: key }),
        code: 'CKR_KEY_HANDLE_INVALID',
      },
      'when another program destroys it': {
        end: async (key) => {
          const other = await Signer.open(applications);
          await other.must('C_DestroyObject', { hObject: key });
          other.wire.close();
        },
        code: 'CKR_KEY_HANDLE_INVALID',
      },
      'when an HSM command of another connection forbids it': {
        end: async (key) => {
          for (const hsm of hsms()) {
            const connection = await loggedIn(hsm, 'crypto_user', 'CU');
            await connection.send('setAttributes', { handle: key, template: template({ CKA_SIGN: false }) });
            connection.close();
          }
        },
        code: 'CKR_KEY_FUNCTION_NOT_PERMITTED',
      },
      'after a logout': {
        end: () => program.must('C_Logout', {}),
        code: 'CKR_USER_NOT_LOGGED_IN',
      },
    };
    for (const [title, { end, code }] of Object.entries(cases)) {
      it(title, async () => {
        const key = await program.hmacKey({ CKA_TOKEN: true });
        await sent.untilRepeated(() => program.sign(key, HMAC));
        await end(key);
        expect((await program.signInit(key, HMAC)).code).to.equal(code);
      });
    }

    it('when the session is closed, and its number means nothing any more', async () => {
      const key = await program.hmacKey({ CKA_TOKEN: true });
      await sent.untilRepeated(() => program.sign(key, HMAC));
      const other = await program.wire.call('C_OpenSession', {
        slotID: 0,
        flags: 6,
        pApplication: false,
        Notify: false,
      } as never);
      expect(other.code).to.equal('CKR_OK');
      await program.must('C_CloseSession', {});
      expect((await program.signInit(key, HMAC)).code).to.equal('CKR_SESSION_HANDLE_INVALID');
    });

    it('by an HSM that fails: the operation that was begun goes on elsewhere', async () => {
      const key = await program.hmacKey({ CKA_TOKEN: true });
      await sent.untilRepeated(() => program.sign(key, HMAC));
      await program.signInit(key, HMAC);
      await hsms()[0]!.fail('unreachable');
      const { pSignature } = await program.must('C_Sign', { pData: DATA, pSignature: ROOM });
      expect(pSignature).to.deep.equal(hmacOf(DATA));
    });
  });

  it("are one application's: another one with the same session number gets nothing", async () => {
    const key = await program.hmacKey({ CKA_TOKEN: true });
    await sent.untilRepeated(() => program.sign(key, HMAC));
    const other = await WireCaller.open(applications);
    const input = { hSession: program.hSession, hKey: key, pMechanism: HMAC };
    expect((await other.call('C_SignInit', input)).code).to.equal('CKR_SESSION_HANDLE_INVALID');
    expect(await program.sign(key, HMAC)).to.deep.equal(hmacOf(DATA));
    expect(sent.names).to.deep.equal([]);
    other.close();
  });

  it('count as calls and as commands, each one', async () => {
    const key = await program.hmacKey();
    const calls = (name: string): number => callCounts().find(({ call }) => call === name)?.count ?? 0;
    const commands = (name: string): number =>
      hsms().reduce(
        (sum, hsm) => sum + (hsm.commandCounts().find(([command]) => command === name)?.[1] ?? 0),
        0,
      );
    const before = [calls('C_SignInit'), calls('C_Sign'), commands('describeKey'), commands('sign')] as const;
    for (let time = 0; time < 100; time++) await program.sign(key, HMAC);
    const during = [calls('C_SignInit'), calls('C_Sign'), commands('describeKey'), commands('sign')];
    expect(during).to.deep.equal(before.map((count) => count + 100));
    await program.signInit(key, HMAC);
    await program.must('C_SignUpdate', { pPart: DATA });
    await program.must('C_SignFinal', { pSignature: ROOM });
    expect(commands('describeKey')).to.equal(before[2] + 101);
    expect(calls('C_SignInit')).to.equal(before[0] + 101);
  });

  it('of keys whose use takes approvals are commands each time', async () => {
    const connection = await loggedIn(hsms()[0]!, 'crypto_user', 'CU');
    const lease = (handle: number) =>
      connection.lease!({ use: 'sign', handle, mechanism: mechanism('CKM_AES_CMAC'), makesIv: false });
    expect(lease(await newQuorumKey(connection, undefined))).not.to.equal(undefined);
    expect(lease(await newQuorumKey(connection, { sharedWith: ['other_user'], quorum: twoOfTwo }))).to.equal(
      undefined,
    );
    connection.close();
  });

  it("in the strict profile have the HSM's IV or none", async () => {
    program.wire.close();
    await start({ profile: 'strict' });
    const pTemplate = template({ CKA_VALUE_LEN: 32, ...flags('CKA_ENCRYPT', 'CKA_DECRYPT') });
    const generated = await program.must('C_GenerateKey', {
      pMechanism: mechanism('CKM_AES_KEY_GEN'),
      pTemplate,
    });
    const key = generated['phKey'] as number;
    const how = (parameter: MechanismParameter) => mechanism('CKM_AES_GCM', parameter);
    await sent.untilRepeated(() => program.encrypt(key, how(gcm(Buffer.alloc(12)))));
    const given = await program.call('C_EncryptInit', {
      hKey: key,
      pMechanism: how(gcm(Buffer.alloc(12, 1))),
    });
    expect(given.code).to.equal('CKR_MECHANISM_PARAM_INVALID');
    const { iv } = await program.encrypt(key, how(gcm(Buffer.alloc(12))));
    expect(iv).to.have.length(12);
  });
});
