import { createHmac, createPublicKey, verify } from 'node:crypto';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { modulePath, projectRoot, run, type TestEngine } from '../support/engine.js';
import { generateEc, generateRsa, type Pair, publicKeyOf } from '../support/keys.js';
import { codeOf, type TestModule, useModule } from '../support/module.js';
import { until } from '../support/network.js';

const VALUE = Buffer.alloc(32, 5);
const HMAC = { mechanism: pkcs11js.CKM_SHA256_HMAC };
const ECDSA = { mechanism: pkcs11js.CKM_ECDSA_SHA256 };
const DATA = Buffer.from('what is signed again and again');
const TIMES = 20;
/** So often an operation that was repeated before may have to come again, at most, until it is repeated. */
const SURELY = 140;
const ASKED = 'cloudhsm_local_asked_operations_total';
const macOf = (data: Buffer): string => createHmac('sha256', VALUE).update(data).digest('hex');

describe('operations that HSMs in other processes are asked for again and again', function () {
  this.timeout(120_000);
  let engine: TestEngine;
  let module: TestModule;
  let session: Buffer;
  let p11: pkcs11js.PKCS11;
  useModule(
    (opened) => {
      ({ engine, module } = opened);
      ({ p11 } = module);
    },
    { hsmProcesses: true },
  );
  beforeEach(() => {
    session = module.openLoggedIn();
  });
  afterEach(() => p11.C_CloseAllSessions(module.slot));

  const asked = async (): Promise<number> => (await engine.counted(ASKED))[0]!;

  const macKey = (token = true): Buffer =>
    p11.C_CreateObject(session, [
      { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
      { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_GENERIC_SECRET },
      { type: pkcs11js.CKA_VALUE, value: VALUE },
      { type: pkcs11js.CKA_TOKEN, value: token },
      { type: pkcs11js.CKA_SIGN, value: true },
      { type: pkcs11js.CKA_VERIFY, value: true },
    ]);
  function sign(key: Buffer, how: pkcs11js.Mechanism = HMAC, data = DATA, by = session): Buffer {
    p11.C_SignInit(by, how, key);
    return p11.C_Sign(by, data, Buffer.alloc(512));
  }
  function verified(
    key: Buffer,
    signature: Buffer,
    how: pkcs11js.Mechanism = HMAC,
    data = DATA,
  ): number | undefined {
    p11.C_VerifyInit(session, how, key);
    return codeOf(() => p11.C_Verify(session, data, signature));
  }
  /** Until the addon asks by itself. */
  async function untilAsked(run: () => unknown): Promise<void> {
    for (let time = 0; time < TIMES; time++) run();
    const before = await asked();
    run();
    expect(await asked(), 'operations that were asked for without JavaScript').to.equal(before + 1);
  }

  it('are answered as they were, on data of many lengths', async () => {
    const key = macKey();
    await untilAsked(() => sign(key));
    const before = await asked();
    const lengths = [0, 1, 63, 64, 65, 4000, 16_000];
    for (const length of lengths) {
      const data = Buffer.alloc(length, length);
      expect(sign(key, HMAC, data).toString('hex')).to.equal(macOf(data));
    }
    expect(await asked()).to.equal(before + lengths.length);
    expect(codeOf(() => sign(key, HMAC, Buffer.alloc(100_000)))).to.equal(pkcs11js.CKR_DATA_LEN_RANGE);
    expect(sign(key).toString('hex')).to.equal(macOf(DATA));
  });

  const pairs: Record<
    string,
    { make: () => Pair; how: pkcs11js.Mechanism; isRight: (pair: Pair, signature: Buffer) => boolean }
  > = {
    'P-256': {
      make: () => generateEc(module, session, 'P-256'),
      how: ECDSA,
      isRight: (pair, signature) => {
        const key = createPublicKey(publicKeyOf(module, session, pair, 'P-256'));
        return verify('sha256', DATA, { key, dsaEncoding: 'ieee-p1363' }, signature);
      },
    },
    'P-384': {
      make: () => generateEc(module, session, 'P-384'),
      how: { mechanism: pkcs11js.CKM_ECDSA_SHA384 },
      isRight: (pair, signature) => {
        const key = createPublicKey(publicKeyOf(module, session, pair, 'P-384'));
        return verify('sha384', DATA, { key, dsaEncoding: 'ieee-p1363' }, signature);
      },
    },
    RSA: {
      make: () => generateRsa(module, session),
      how: { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS },
      isRight: (pair, signature) =>
        verify('sha256', DATA, createPublicKey(publicKeyOf(module, session, pair)), signature),
    },
  };
  for (const [name, { make, how, isRight }] of Object.entries(pairs)) {
    it(`are signatures and verifications with ${name}, and no wrong signature is right`, async () => {
      const pair = make();
      await untilAsked(() => sign(pair.privateKey, how));
      const signature = sign(pair.privateKey, how);
      expect(isRight(pair, signature)).to.equal(true);
      await untilAsked(() => expect(verified(pair.publicKey, signature, how)).to.equal(undefined));
      const wrong = Buffer.from(signature);
      wrong[20]! ^= 1;
      const invalid = pkcs11js.CKR_SIGNATURE_INVALID;
      expect(verified(pair.publicKey, wrong, how)).to.equal(invalid);
      for (let time = 0; time < TIMES; time++)
        expect(verified(pair.publicKey, signature, how)).to.equal(undefined);
      expect(verified(pair.publicKey, signature, how, Buffer.from('other data'))).to.equal(invalid);
      for (let time = 0; time < TIMES; time++)
        expect(verified(pair.publicKey, signature, how)).to.equal(undefined);
      expect(verified(pair.publicKey, signature.subarray(1), how)).to.equal(pkcs11js.CKR_SIGNATURE_LEN_RANGE);
      expect(verified(pair.publicKey, signature, how)).to.equal(undefined);
    });
  }

  it('are counted once each, as calls and as commands, and the HSMs take turns', async () => {
    const key = macKey();
    const patterns = [
      'cloudhsm_local_calls_total\\{call="C_SignInit"\\}',
      'cloudhsm_local_calls_total\\{call="C_Sign"\\}',
      'cloudhsm_local_hsm_commands_total\\{.*command="sign".*\\}',
    ];
    const before = await engine.counted(...patterns);
    for (let time = 0; time < 100; time++) sign(key);
    expect(await engine.counted(...patterns)).to.deep.equal(before.map((count) => count + 100));
    const [first, second] = await engine.hsms();
    const each = [first, second].map(
      (hsm) => `cloudhsm_local_hsm_commands_total\\{.*HsmId="${hsm!.id}",command="sign"\\}`,
    );
    const [one, other] = (await engine.counted(...each)) as [number, number];
    for (let time = 0; time < 40; time++) sign(key);
    expect(await engine.counted(...each)).to.deep.equal([one + 20, other + 20]);
  });

  it('are of the session that they were begun in', async () => {
    const key = macKey();
    const other = module.openLoggedIn();
    await untilAsked(() => sign(key));
    expect(codeOf(() => p11.C_Sign(other, DATA, Buffer.alloc(32)))).to.equal(
      pkcs11js.CKR_OPERATION_NOT_INITIALIZED,
    );
    p11.C_SignInit(session, HMAC, key);
    p11.C_SignInit(other, HMAC, key);
    p11.C_SignUpdate(session, DATA.subarray(0, 5));
    p11.C_SignUpdate(session, DATA.subarray(5));
    expect(p11.C_SignFinal(session, Buffer.alloc(32)).toString('hex')).to.equal(macOf(DATA));
    expect(p11.C_Sign(other, DATA, Buffer.alloc(32)).toString('hex')).to.equal(macOf(DATA));
    p11.C_SignInit(session, HMAC, key);
    expect(codeOf(() => p11.C_SignInit(session, HMAC, key))).to.equal(pkcs11js.CKR_OPERATION_ACTIVE);
    expect(codeOf(() => p11.C_Sign(session, DATA, Buffer.alloc(5)))).to.equal(pkcs11js.CKR_BUFFER_TOO_SMALL);
    expect(p11.C_Sign(session, DATA, Buffer.alloc(32)).toString('hex')).to.equal(macOf(DATA));
  });

  const endings: Record<
    string,
    { end: (key: Buffer) => unknown; init: number | undefined; run: number | undefined }
  > = {
    'its key is destroyed': {
      end: (key) => p11.C_DestroyObject(session, key),
      init: pkcs11js.CKR_KEY_HANDLE_INVALID,
      run: pkcs11js.CKR_KEY_HANDLE_INVALID,
    },
    'the program logs out': {
      end: () => p11.C_Logout(session),
      init: pkcs11js.CKR_USER_NOT_LOGGED_IN,
      run: pkcs11js.CKR_OPERATION_NOT_INITIALIZED,
    },
    'the key may no longer be used so': {
      end: (key) => p11.C_SetAttributeValue(session, key, [{ type: pkcs11js.CKA_SIGN, value: false }]),
      init: pkcs11js.CKR_KEY_FUNCTION_NOT_PERMITTED,
      run: pkcs11js.CKR_KEY_FUNCTION_NOT_PERMITTED,
    },
  };
  for (const [what, { end, init, run }] of Object.entries(endings)) {
    for (const token of [true, false]) {
      it(`are refused once ${what}, before and between: a ${token ? 'token' : 'session'} key`, async () => {
        const [first, second] = [macKey(token), macKey(token)];
        const other = module.openLoggedIn();
        await untilAsked(() => sign(first));
        await untilAsked(() => sign(second, HMAC, DATA, other));
        p11.C_SignInit(other, HMAC, second);
        await end(first);
        expect(codeOf(() => p11.C_SignInit(session, HMAC, first))).to.equal(init);
        if (init !== pkcs11js.CKR_USER_NOT_LOGGED_IN) await end(second);
        expect(codeOf(() => p11.C_Sign(other, DATA, Buffer.alloc(32)))).to.equal(run);
      });
    }
  }

  /** As another program. */
  async function elsewhere(work: string): Promise<void> {
    const script = `import pkcs11js from 'pkcs11js';
      const p11 = new pkcs11js.PKCS11();
      p11.load(${JSON.stringify(modulePath)});
      p11.C_Initialize();
      const session = p11.C_OpenSession(p11.C_GetSlotList(true)[0], 6);
      p11.C_Login(session, 1, ${JSON.stringify(engine.pin)});
      ${work}
      p11.C_Finalize();`;
    const words = ['--input-type=module', '-e', script];
    const { code, stderr } = await run(process.execPath, words, { env: engine.env, cwd: projectRoot });
    expect(code, stderr).to.equal(0);
  }

  it('are refused once another program has destroyed the key, before and between', async () => {
    for (const between of [false, true]) {
      session = module.openLoggedIn();
      const key = macKey();
      await untilAsked(() => sign(key));
      if (between) p11.C_SignInit(session, HMAC, key);
      await elsewhere(`p11.C_DestroyObject(session, Buffer.from('${key.toString('hex')}', 'hex'));`);
      const used = () => (between ? p11.C_Sign(session, DATA, Buffer.alloc(32)) : sign(key));
      expect(codeOf(used)).to.equal(pkcs11js.CKR_KEY_HANDLE_INVALID);
    }
  });

  for (const fault of ['throttled', 'slow', 'unreachable'] as const) {
    it(`go on elsewhere, or later, while an HSM is ${fault}, and take turns again when it is healed`, async () => {
      const key = macKey();
      await untilAsked(() => sign(key));
      const [first] = await engine.hsms();
      p11.C_SignInit(session, HMAC, key);
      await engine.succeeds('fault', first!.id, fault);
      expect(p11.C_Sign(session, DATA, Buffer.alloc(32)).toString('hex')).to.equal(macOf(DATA));
      for (let time = 0; time < 3; time++) expect(sign(key).toString('hex')).to.equal(macOf(DATA));
      await engine.succeeds('heal', first!.id);
      // Until the client relies on it again: that ends what is asked for once more.
      const ofFirst = `cloudhsm_local_hsm_commands_total\\{.*HsmId="${first!.id}",command="sign"\\}`;
      const [had] = (await engine.counted(ofFirst)) as [number];
      await until(async () => {
        sign(key);
        return (await engine.counted(ofFirst))[0]! > had;
      });
      for (let time = 0; time < SURELY; time++) expect(sign(key).toString('hex')).to.equal(macOf(DATA));
      await untilAsked(() => sign(key));
    });
  }
});
