import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKF, CKS } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { TestEngine } from '../support/engine.js';
import { type Curve, generateEc } from '../support/keys.js';
import { expectCkr, TestModule } from '../support/module.js';

const { CKU_USER, CKU_SO } = pkcs11js;

describe('slots, sessions and login', () => {
  let engine: TestEngine;
  let module: TestModule;

  before(async () => {
    engine = await TestEngine.start();
    module = new TestModule(engine);
  });

  after(async () => {
    module.close();
    await engine.stop();
  });

  afterEach(() => module.p11.C_CloseAllSessions(module.slot));

  it("has CloudHSM's first slot, 0x2000000000000001, with the token hsm1", () => {
    expect(module.slot.readBigUInt64LE()).to.equal(0x2000000000000001n);
    expect(module.p11.C_GetTokenInfo(module.slot).label.trim()).to.equal('hsm1');
    expect(module.p11.C_GetSlotInfo(module.slot).flags & CKF.CKF_TOKEN_PRESENT).to.equal(
      CKF.CKF_TOKEN_PRESENT,
    );
  });

  // "manufacturerIDs": ["cloudhsm"] in XiPKI's vendor-cloudhsm.json, looked for in either case [seen].
  it('is made by whom programs know CloudHSM by', () => {
    expect(module.p11.C_GetInfo().manufacturerID.trim()).to.equal('CloudHSM');
  });

  it('knows no other slot', () => {
    const other = Buffer.from('0100000000000000', 'hex');
    expectCkr(CKR.CKR_SLOT_ID_INVALID, () => module.p11.C_OpenSession(other, 6));
    expectCkr(CKR.CKR_SLOT_ID_INVALID, () => module.p11.C_GetTokenInfo(other));
    expectCkr(CKR.CKR_SLOT_ID_INVALID, () => module.p11.C_GetMechanismList(other));
  });

  it('lists each mechanism with what it can do', () => {
    const list = module.p11.C_GetMechanismList(module.slot);
    expect(new Set(list).size).to.equal(list.length);
    for (const mechanism of list) {
      const info = module.p11.C_GetMechanismInfo(module.slot, mechanism);
      expect(info.maxKeySize).to.be.at.least(info.minKeySize);
      expect(info.flags & ~CKF.CKF_HW, `0x${mechanism.toString(16)}`).not.to.equal(0);
    }
    expectCkr(CKR.CKR_MECHANISM_INVALID, () => module.p11.C_GetMechanismInfo(module.slot, 0x1057));
  });

  it('refuses a session that is not serial', () => {
    expectCkr(CKR.CKR_SESSION_PARALLEL_NOT_SUPPORTED, () => module.openSession(CKF.CKF_RW_SESSION));
  });

  it('logs in once for all sessions, those there are and those to come', () => {
    const [first, second] = [module.openSession(), module.openSession()];
    module.p11.C_Login(first, CKU_USER, engine.pin);
    const third = module.openSession();
    for (const session of [first, second, third]) {
      expect(module.p11.C_GetSessionInfo(session).state).to.equal(CKS.CKS_RW_USER_FUNCTIONS);
    }
    expectCkr(CKR.CKR_USER_ALREADY_LOGGED_IN, () => module.p11.C_Login(second, CKU_USER, engine.pin));
    module.p11.C_CloseSession(first);
    expect(module.p11.C_GetSessionInfo(second).state).to.equal(CKS.CKS_RW_USER_FUNCTIONS);
    module.p11.C_Logout(third);
    expect(module.p11.C_GetSessionInfo(second).state).to.equal(CKS.CKS_RW_PUBLIC_SESSION);
    expectCkr(CKR.CKR_USER_NOT_LOGGED_IN, () => module.p11.C_Logout(second));
  });

  it('ends the login with the last session', () => {
    module.p11.C_CloseSession(module.openLoggedIn());
    const session = module.openSession();
    expect(module.p11.C_GetSessionInfo(session).state).to.equal(CKS.CKS_RW_PUBLIC_SESSION);
    module.p11.C_Login(session, CKU_USER, engine.pin);
  });

  it('opens read-only sessions in the compatible profile, which make no token objects', () => {
    module.openLoggedIn();
    const session = module.openSession(CKF.CKF_SERIAL_SESSION);
    expect(module.p11.C_GetSessionInfo(session).state).to.equal(CKS.CKS_RO_USER_FUNCTIONS);
    const template = [
      { type: pkcs11js.CKA_TOKEN, value: true },
      { type: pkcs11js.CKA_VALUE_LEN, value: 32 },
    ];
    const generate = (): unknown =>
      module.p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, template);
    expectCkr(CKR.CKR_SESSION_READ_ONLY, generate);
  });

  for (const [what, pin] of [
    ['a wrong password', 'crypto_user:Wr0ng-Guess'],
    ['an unknown user', 'nobody:Wr0ng-Guess'],
    ['no user at all', 'password'],
    ['an empty user', ':password'],
    ['an empty PIN', ''],
  ] as const) {
    it(`refuses ${what} with CKR_PIN_INCORRECT`, () => {
      expectCkr(CKR.CKR_PIN_INCORRECT, () => module.p11.C_Login(module.openSession(), CKU_USER, pin));
    });
  }

  it("refuses a CO's credentials and other user types", () => {
    const { name, password } = engine.credentials.admin;
    expectCkr(CKR.CKR_PIN_INCORRECT, () =>
      module.p11.C_Login(module.openSession(), CKU_USER, `${name}:${password}`),
    );
    expectCkr(CKR.CKR_USER_TYPE_INVALID, () => module.p11.C_Login(module.openSession(), CKU_SO, engine.pin));
  });

  it('refuses a session handle that is closed, or never was', () => {
    const session = module.openSession();
    module.p11.C_CloseSession(session);
    expectCkr(CKR.CKR_SESSION_HANDLE_INVALID, () => module.p11.C_GetSessionInfo(session));
    expectCkr(CKR.CKR_SESSION_HANDLE_INVALID, () => module.p11.C_CloseSession(session));
    expectCkr(CKR.CKR_SESSION_HANDLE_INVALID, () => module.p11.C_GetSessionInfo(Buffer.alloc(8)));
  });

  it('serves 1,024 sessions and refuses one more', () => {
    for (let count = 0; count < 1024; count++) module.openSession();
    expectCkr(CKR.CKR_SESSION_COUNT, () => module.openSession());
  });

  it('never logs a PIN, a right or a wrong one', () => {
    expect(engine.log).not.to.contain(engine.pin.split(':')[1]!);
    expect(engine.log).not.to.contain('Wr0ng-Guess');
  });
});

describe('lockout', () => {
  it('locks a crypto user after more than five wrong passwords, and stays locked after a restart', async () => {
    const engine = await TestEngine.start();
    let module = new TestModule(engine);
    let session = module.openSession();
    const login = (password: string): void =>
      module.p11.C_Login(session, CKU_USER, `crypto_user:${password}`);
    for (let attempt = 0; attempt < 5; attempt++) {
      expectCkr(CKR.CKR_PIN_INCORRECT, () => login('Wr0ng-Guess'));
    }
    module.p11.C_Login(session, CKU_USER, engine.pin);
    module.p11.C_Logout(session);
    for (let attempt = 0; attempt < 6; attempt++) {
      expectCkr(CKR.CKR_PIN_INCORRECT, () => login('Wr0ng-Guess'));
    }
    expectCkr(CKR.CKR_PIN_LOCKED, () => module.p11.C_Login(session, CKU_USER, engine.pin));
    module.close();
    await engine.kill();
    await engine.restart();
    module = new TestModule(engine);
    session = module.openSession();
    expectCkr(CKR.CKR_PIN_LOCKED, () => module.p11.C_Login(session, CKU_USER, engine.pin));
    module.close();
    await engine.stop();
  });
});

describe('the strict profile', () => {
  // Seen with an hsm2m: "ECDSA with a digest weaker than the curve is refused" (reference section 9.2).
  it('signs on P-384 and P-521 with no weaker hash, but with the raw mechanism', async () => {
    const engine = await TestEngine.start(['--profile', 'strict']);
    const module = new TestModule(engine);
    try {
      const session = module.openLoggedIn();
      const init = (curve: Curve, mechanism: number) => {
        const pair = generateEc(module, session, curve);
        module.p11.C_SignInit(session, { mechanism }, pair.privateKey);
        module.p11.C_Sign(session, Buffer.alloc(20), Buffer.alloc(132));
        module.p11.C_VerifyInit(session, { mechanism }, pair.publicKey);
        expectCkr(CKR.CKR_SIGNATURE_INVALID, () =>
          module.p11.C_Verify(
            session,
            Buffer.alloc(20),
            Buffer.alloc(curve === 'P-521' ? 132 : curve === 'P-384' ? 96 : 64),
          ),
        );
      };
      expectCkr(CKR.CKR_KEY_SIZE_RANGE, () => init('P-384', CKM.CKM_ECDSA_SHA256));
      expectCkr(CKR.CKR_KEY_SIZE_RANGE, () => init('P-521', CKM.CKM_ECDSA_SHA384));
      init('P-384', CKM.CKM_ECDSA_SHA384);
      init('P-521', CKM.CKM_ECDSA_SHA512);
      init('P-384', CKM.CKM_ECDSA);
      init('P-256', CKM.CKM_ECDSA_SHA1);
    } finally {
      module.close();
      await engine.stop();
    }
  });

  it('refuses read-only sessions, public keys that are not private, and keys that are not sensitive', async () => {
    const engine = await TestEngine.start(['--profile', 'strict']);
    const module = new TestModule(engine);
    const { CKA_PRIVATE, CKA_SENSITIVE, CKA_VALUE_LEN, CKA_EC_PARAMS } = pkcs11js;
    expectCkr(CKR.CKR_FUNCTION_FAILED, () => module.openSession(CKF.CKF_SERIAL_SESSION));
    const session = module.openLoggedIn();
    const curve = { type: CKA_EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') };
    const pair = (publicPrivate: boolean): unknown =>
      module.p11.C_GenerateKeyPair(
        session,
        { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
        [curve, { type: CKA_PRIVATE, value: publicPrivate }],
        [],
      );
    expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, () => pair(false));
    pair(true);
    expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, () =>
      module.p11.C_GenerateKeyPair(
        session,
        { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
        [curve],
        [{ type: CKA_SENSITIVE, value: false }],
      ),
    );
    expectCkr(CKR.CKR_TEMPLATE_INCOMPLETE, () =>
      module.p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, []),
    );
    module.p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [
      { type: CKA_VALUE_LEN, value: 16 },
    ]);
    module.close();
    await engine.stop();
  });
});
