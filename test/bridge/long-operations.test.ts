import { spawn } from 'node:child_process';
import { constants, createHash, createPublicKey, type KeyObject, publicDecrypt, verify } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { buildNative, modulePath, nativeProgram } from '../native/build-native.js';
import type { TestEngine } from '../support/engine.js';
import { generateEc, generateRsa, publicKeyOf } from '../support/keys.js';
import { codeOf, type TestModule, useModule } from '../support/module.js';

const DATA = Buffer.from('what is signed again and again');
const sha256 = createHash('sha256').update(DATA).digest();
const sha384 = createHash('sha384').update(DATA).digest();
/** RFC 8017, section 9.2, note 1. */
const digestInfo = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), sha256]);
/** A number below any modulus of 2048 bits whose first bit is set. */
const raw = Buffer.alloc(256, 0x7f);
const pss = { type: pkcs11js.CK_PARAMS_RSA_PSS, hashAlg: pkcs11js.CKM_SHA256, mgf: 2, saltLen: 32 };

interface Case {
  readonly mechanism: pkcs11js.Mechanism;
  readonly input: Buffer;
  readonly isRight: (key: KeyObject, signature: Buffer) => boolean;
}
const ofPkcs1 = (key: KeyObject, signature: Buffer) => verify('sha256', DATA, key, signature);
const ofPss = (key: KeyObject, signature: Buffer) =>
  verify('sha256', DATA, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature);
const ofP384 = (key: KeyObject, signature: Buffer) =>
  verify('sha384', DATA, { key, dsaEncoding: 'ieee-p1363' }, signature);

const rsaCases: Record<string, Case> = {
  CKM_RSA_PKCS: { mechanism: { mechanism: pkcs11js.CKM_RSA_PKCS }, input: digestInfo, isRight: ofPkcs1 },
  CKM_SHA256_RSA_PKCS: {
    mechanism: { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS },
    input: DATA,
    isRight: ofPkcs1,
  },
  CKM_RSA_PKCS_PSS: {
    mechanism: { mechanism: pkcs11js.CKM_RSA_PKCS_PSS, parameter: pss },
    input: sha256,
    isRight: ofPss,
  },
  CKM_SHA256_RSA_PKCS_PSS: {
    mechanism: { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS_PSS, parameter: pss },
    input: DATA,
    isRight: ofPss,
  },
  CKM_RSA_X_509: {
    mechanism: { mechanism: pkcs11js.CKM_RSA_X_509 },
    input: raw,
    isRight: (key, signature) =>
      publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature).equals(raw),
  },
};
const ecCases: Record<string, Case> = {
  'CKM_ECDSA of P-384': {
    mechanism: { mechanism: pkcs11js.CKM_ECDSA },
    input: sha384,
    isRight: ofP384,
  },
  'CKM_ECDSA_SHA384 of P-384': {
    mechanism: { mechanism: pkcs11js.CKM_ECDSA_SHA384 },
    input: DATA,
    isRight: ofP384,
  },
};

describe('long operations that a program repeats', function () {
  this.timeout(120_000);
  const TIMES = 30;
  const OF_THREADS = 'cloudhsm_local_thread_operations_total';
  let engine: TestEngine;
  let module: TestModule;
  let session: Buffer;
  useModule((opened) => {
    ({ engine, module } = opened);
  });
  // A session that has ended many repeats waits longer for the next.
  beforeEach(() => {
    session = module.openSession();
  });

  function sign(key: Buffer, { mechanism, input }: Case): Buffer {
    module.p11.C_SignInit(session, mechanism, key);
    return module.p11.C_Sign(session, input, Buffer.alloc(256));
  }

  const counted = async (pattern: string): Promise<number> => (await engine.counted(pattern))[0]!;

  for (const [cases, generate, curve] of [
    [rsaCases, () => generateRsa(module, session), undefined],
    [ecCases, () => generateEc(module, session, 'P-384'), 'P-384'],
  ] as const) {
    for (const [name, how] of Object.entries(cases)) {
      it(`come from threads of their own and out as they do one by one: ${name}`, async () => {
        const pair = generate();
        const key = createPublicKey(publicKeyOf(module, session, pair, curve));
        const before = await counted(OF_THREADS);
        for (let time = 0; time < TIMES; time++) {
          expect(how.isRight(key, sign(pair.privateKey, how)), `signature ${time}`).to.equal(true);
        }
        // What comes twice is repeated from then on.
        expect((await counted(OF_THREADS)) - before).to.equal(TIMES - 2);
      });
    }
  }

  it('say of each signature whether it is the one', async () => {
    const pair = generateEc(module, session, 'P-384');
    const how = ecCases['CKM_ECDSA_SHA384 of P-384']!;
    const right = sign(pair.privateKey, how);
    const verified = (signature: Buffer): number | undefined => {
      module.p11.C_VerifyInit(session, how.mechanism, pair.publicKey);
      return codeOf(() => module.p11.C_Verify(session, how.input, signature));
    };
    const before = await counted(OF_THREADS);
    for (let time = 0; time < TIMES; time++) expect(verified(right)).to.equal(undefined);
    expect((await counted(OF_THREADS)) - before).to.equal(TIMES - 2);
    const wrong = Buffer.from(right);
    wrong[50]! ^= 1;
    expect(verified(wrong)).to.equal(pkcs11js.CKR_SIGNATURE_INVALID);
    for (let time = 0; time < TIMES; time++) expect(verified(right)).to.equal(undefined);
    expect(verified(right.subarray(1))).to.equal(pkcs11js.CKR_SIGNATURE_LEN_RANGE);
    expect(verified(right)).to.equal(undefined);
  });

  it('fail as they do one by one, and go on afterwards', () => {
    const { privateKey } = generateRsa(module, session);
    const how = rsaCases['CKM_RSA_X_509']!;
    // Not below the modulus: a thread cannot sign it.
    const refused = () => codeOf(() => sign(privateKey, { ...how, input: Buffer.alloc(256, 0xff) }));
    const code = refused();
    expect(code).not.to.equal(undefined);
    for (let time = 0; time < TIMES; time++) sign(privateKey, how);
    expect(refused()).to.equal(code);
    const right = sign(privateKey, how);
    for (let time = 0; time < TIMES; time++) expect(sign(privateKey, how)).to.deep.equal(right);
  });

  it('leave the session to whatever else comes between two of them', () => {
    const { p11 } = module;
    const how = rsaCases['CKM_SHA256_RSA_PKCS']!;
    const one = generateRsa(module, session).privateKey;
    const other = generateRsa(module, session).privateKey;
    const right = new Map([one, other].map((key) => [key, sign(key, how)]));
    const inParts = (key: Buffer): Buffer => {
      p11.C_SignInit(session, how.mechanism, key);
      for (const byte of how.input) p11.C_SignUpdate(session, Buffer.from([byte]));
      return p11.C_SignFinal(session, Buffer.alloc(256));
    };
    const large = Buffer.alloc(300_000, 1);
    const digest = (): Buffer => {
      p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
      return p11.C_Digest(session, large, Buffer.alloc(32));
    };
    const objectClass = (): Buffer =>
      p11.C_GetAttributeValue(session, one, [{ type: pkcs11js.CKA_CLASS }])[0]!.value as Buffer;
    const [rightDigest, rightClass] = [digest(), objectClass()];
    const others: (() => void)[] = [
      () => expect(digest()).to.deep.equal(rightDigest),
      () => expect(objectClass()).to.deep.equal(rightClass),
      () => expect(inParts(one)).to.deep.equal(right.get(one)),
      () => expect(sign(other, how)).to.deep.equal(right.get(other)),
      () => expect(p11.C_GetSessionInfo(session).state).to.equal(3),
      // An operation that was begun, and nothing else: then the next Init is one too many.
      () => {
        p11.C_SignInit(session, how.mechanism, one);
        expect(codeOf(() => p11.C_SignInit(session, how.mechanism, one))).to.equal(
          pkcs11js.CKR_OPERATION_ACTIVE,
        );
        expect(p11.C_Sign(session, how.input, Buffer.alloc(256))).to.deep.equal(right.get(one));
        const again = codeOf(() => p11.C_Sign(session, how.input, Buffer.alloc(256)));
        expect(again).to.equal(pkcs11js.CKR_OPERATION_NOT_INITIALIZED);
      },
    ];
    for (let round = 0; round < 5; round++) {
      for (const between of others) {
        for (let time = 0; time < 5; time++) expect(sign(one, how)).to.deep.equal(right.get(one));
        between();
      }
    }
  });

  it('are refused once the key is destroyed', () => {
    const { privateKey } = generateRsa(module, session);
    const how = rsaCases['CKM_SHA256_RSA_PKCS']!;
    for (let time = 0; time < TIMES; time++) sign(privateKey, how);
    module.p11.C_DestroyObject(module.openSession(), privateKey);
    expect(codeOf(() => sign(privateKey, how))).to.equal(pkcs11js.CKR_KEY_HANDLE_INVALID);
  });

  it('count as calls and as commands, each one', async () => {
    const patterns = [
      'cloudhsm_local_calls_total\\{call="C_SignInit"\\}',
      'cloudhsm_local_calls_total\\{call="C_Sign"\\}',
      'cloudhsm_local_hsm_commands_total\\{.*command="sign"\\}',
      'cloudhsm_local_hsm_commands_total\\{.*command="describeKey"\\}',
    ];
    const counts = () => Promise.all(patterns.map(counted));
    const { privateKey } = generateRsa(module, session);
    const before = await counts();
    for (let time = 0; time < TIMES; time++) sign(privateKey, rsaCases['CKM_SHA256_RSA_PKCS']!);
    expect(await counts()).to.deep.equal(before.map((number) => number + TIMES));
  });

  it('of programs killed in the middle of them, nothing is left', async () => {
    buildNative();
    const memories = (): number =>
      readFileSync(`/proc/${engine.pid}/maps`, 'utf8').split('memfd:cloudhsm-local').length - 1;
    const before = memories();
    for (let round = 0; round < 10; round++) {
      const child = spawn(nativeProgram('behaviour_client'), [modulePath, 'sign-forever'], {
        env: { ...engine.env, CLOUDHSM_PIN: engine.pin },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const gone = once(child, 'exit');
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, round));
      child.kill('SIGKILL');
      await gone;
    }
    const until = Date.now() + 10_000;
    while (memories() > before && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(memories()).to.equal(before);
    expect(sign(generateRsa(module, session).privateKey, rsaCases['CKM_RSA_PKCS']!)).to.have.length(256);
  });
});
