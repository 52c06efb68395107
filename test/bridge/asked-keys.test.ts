import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import type { TestEngine } from '../support/engine.js';
import { codeOf, type TestModule, useModule } from '../support/module.js';
import { until } from '../support/network.js';
import { seeded } from '../support/seeded.js';

const AES = { mechanism: pkcs11js.CKM_AES_KEY_GEN };
const ECB = { mechanism: pkcs11js.CKM_AES_ECB };
const BLOCK = Buffer.alloc(16, 7);
const TIMES = 20;
/** So often a key that was made again before may have to be made, at most, until it is made again. */
const SURELY = 140;
const ASKED = 'cloudhsm_local_asked_operations_total';
const LEFT = 'HsmKeysSessionOccupied\\{.*\\}';
/** How many operations of the random test; SOAK_OPERATIONS for more. */
const OPERATIONS = Number(process.env['SOAK_OPERATIONS'] ?? 600);

describe('session keys that an HSM in another process makes again and again', function () {
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
  afterEach(async () => {
    p11.C_CloseAllSessions(module.slot);
    await until(async () => (await left()) === 0);
  });

  const asked = async (): Promise<number> => (await engine.counted(ASKED))[0]!;
  /** Session keys in all HSMs. */
  const left = async (): Promise<number> => (await engine.counted(LEFT))[0]!;

  const aes = (label: string): pkcs11js.Template => [
    { type: pkcs11js.CKA_VALUE_LEN, value: 32 },
    { type: pkcs11js.CKA_TOKEN, value: false },
    { type: pkcs11js.CKA_LABEL, value: label },
    { type: pkcs11js.CKA_ENCRYPT, value: true },
    { type: pkcs11js.CKA_DECRYPT, value: true },
  ];
  const make = (label = 'again', by = session): Buffer => p11.C_GenerateKey(by, AES, aes(label));
  const destroy = (key: Buffer, by = session): void => p11.C_DestroyObject(by, key);
  function encrypted(key: Buffer, by = session): string {
    p11.C_EncryptInit(by, ECB, key);
    return p11.C_Encrypt(by, BLOCK, Buffer.alloc(16)).toString('hex');
  }
  function find(label: string, by = session): string[] {
    p11.C_FindObjectsInit(by, [{ type: pkcs11js.CKA_LABEL, value: label }]);
    const found = p11.C_FindObjects(by, 100);
    p11.C_FindObjectsFinal(by);
    return found.map((handle) => handle.toString('hex')).sort();
  }
  const labelOf = (key: Buffer): string =>
    p11.C_GetAttributeValue(session, key, [{ type: pkcs11js.CKA_LABEL }])[0]!.value.toString();

  /** Until the addon asks by itself, for a key and for its end. */
  async function untilAsked(run = (): void => destroy(make())): Promise<void> {
    for (let time = 0; time < TIMES; time++) run();
    const before = await asked();
    run();
    expect(await asked(), 'keys that were asked for without JavaScript').to.equal(before + 1);
  }

  it('are each another one, used, read and found like any other', async () => {
    await untilAsked();
    const keys = Array.from({ length: 10 }, () => make());
    expect(new Set(keys.map((key) => encrypted(key))).size).to.equal(10);
    for (const key of keys) expect(labelOf(key)).to.equal('again');
    const handles = keys.map((key) => key.toString('hex')).sort();
    expect(find('again')).to.deep.equal(handles);
    expect(find('again', module.openLoggedIn())).to.deep.equal(handles);
    const [first, ...others] = keys;
    destroy(first!);
    expect(codeOf(() => encrypted(first!))).to.equal(pkcs11js.CKR_KEY_HANDLE_INVALID);
    expect(find('again')).to.have.length(9);
    for (const key of others) destroy(key);
    expect(find('again')).to.deep.equal([]);
  });

  it('are destroyed once, by any session', async () => {
    const other = module.openLoggedIn();
    await untilAsked();
    for (const by of [session, other]) {
      const key = make();
      destroy(key, by);
      expect(codeOf(() => destroy(key))).to.equal(pkcs11js.CKR_OBJECT_HANDLE_INVALID);
      expect(codeOf(() => destroy(key, other))).to.equal(pkcs11js.CKR_OBJECT_HANDLE_INVALID);
    }
    const key = make();
    expect(find('again')).to.have.length(1);
    destroy(key);
    expect(find('again')).to.deep.equal([]);
  });

  it('are counted once each, as calls and as commands, and leave nothing behind', async () => {
    await untilAsked();
    const patterns = [
      'cloudhsm_local_calls_total\\{call="C_GenerateKey"\\}',
      'cloudhsm_local_calls_total\\{call="C_DestroyObject"\\}',
      'cloudhsm_local_hsm_commands_total\\{.*command="generateKey".*\\}',
      'cloudhsm_local_hsm_commands_total\\{.*command="destroyObject".*\\}',
      ASKED,
    ];
    const before = await engine.counted(...patterns);
    for (let time = 0; time < 100; time++) destroy(make());
    await until(async () => (await left()) === 0);
    expect(await engine.counted(...patterns)).to.deep.equal(before.map((count) => count + 100));
  });

  it('are of the template that was asked for', async () => {
    await untilAsked();
    const keys = ['again', 'other', 'again', 'aga', 'again-'].map((label) => [label, make(label)] as const);
    for (const [label, key] of keys) expect(labelOf(key)).to.equal(label);
    expect(codeOf(() => p11.C_GenerateKey(session, AES, aes('again').slice(1)))).to.not.equal(undefined);
    expect(labelOf(make())).to.equal('again');
  });

  it('say what is allowed of each, and take what is allowed of one only', async () => {
    const readable = [...aes('readable'), { type: pkcs11js.CKA_SENSITIVE, value: false }];
    const readableKey = () => p11.C_GenerateKey(session, AES, readable);
    await engine.succeeds('report', '--clear');
    for (let time = 0; time < 50; time++) destroy(readableKey());
    const times = async (id: string): Promise<number> => {
      const { deviations } = JSON.parse(await engine.succeeds('report', '--json'));
      return deviations
        .filter((line: { id: string; call: string }) => line.id === id && line.call === 'C_GenerateKey')
        .reduce((sum: number, { count }: { count: number }) => sum + count, 0);
    };
    expect(await times('sensitive-false')).to.equal(50);
    const named = [...readable, { type: pkcs11js.CKA_ID, value: Buffer.from('only one') }];
    const namedKey = () => p11.C_GenerateKey(session, AES, named);
    await untilAsked(() => destroy(namedKey()));
    const first = namedKey();
    const second = namedKey();
    expect(await times('duplicate-id')).to.equal(1);
    expect(encrypted(first)).to.not.equal(encrypted(second));
    expect(await left()).to.equal(2);
  });

  it('end with their session', async () => {
    const other = module.openLoggedIn();
    await untilAsked(() => destroy(make('of another session', other), other));
    const key = make('of another session', other);
    p11.C_CloseSession(other);
    expect(codeOf(() => encrypted(key))).to.equal(pkcs11js.CKR_KEY_HANDLE_INVALID);
    expect(find('of another session')).to.deep.equal([]);
    expect(codeOf(() => make('of another session', other))).to.equal(pkcs11js.CKR_SESSION_HANDLE_INVALID);
    await until(async () => (await left()) === 0);
  });

  it('end with the login, and none is made without one', async () => {
    await untilAsked();
    make();
    p11.C_Logout(session);
    expect(codeOf(() => make())).to.equal(pkcs11js.CKR_USER_NOT_LOGGED_IN);
    await until(async () => (await left()) === 0);
    module.login(session);
    expect(find('again')).to.deep.equal([]);
    await untilAsked();
  });

  it('may be kept from being destroyed, and go on when they are', async () => {
    await untilAsked();
    const key = make();
    p11.C_SetAttributeValue(session, key, [{ type: CKA.CKA_DESTROYABLE, value: false }]);
    expect(codeOf(() => destroy(key))).to.equal(CKR.CKR_ACTION_PROHIBITED);
    expect(encrypted(key)).to.have.length(32);
  });

  it('are made while another thread of the session makes token keys, whose answers come with theirs', async () => {
    const kept = [
      ...aes('kept').filter(({ type }) => type !== pkcs11js.CKA_TOKEN),
      { type: pkcs11js.CKA_TOKEN, value: true },
    ];
    for (let time = 0; time < 100; time++) {
      const other = p11.C_GenerateKeyAsync(session, AES, kept);
      for (let times = 0; times < TIMES; times++) destroy(make());
      destroy(await other);
    }
    expect(find('again')).to.deep.equal([]);
    expect(find('kept')).to.deep.equal([]);
  });

  for (const fault of ['throttled', 'slow', 'unreachable'] as const) {
    it(`are as other session keys are while their HSM is ${fault}, and are made again when it is healed`, async () => {
      const [home] = await engine.hsms();
      await untilAsked();
      const key = make();
      await engine.succeeds('fault', home!.id, fault);
      // Perhaps it has gone with the connection already.
      if (fault === 'unreachable') codeOf(() => destroy(key));
      else destroy(key);
      for (let time = 0; time < 2; time++) {
        // Session keys are on one HSM, and who has waited long enough for a busy one is told so.
        const code = codeOf(() => {
          const one = make();
          expect(encrypted(one)).to.have.length(32);
          destroy(one);
        });
        expect(code).to.equal(fault === 'throttled' ? pkcs11js.CKR_FUNCTION_FAILED : undefined);
      }
      await engine.succeeds('heal', home!.id);
      // Until the client relies on it again, as searches ask all HSMs: that ends what is made again.
      const ofHome = `cloudhsm_local_hsm_commands_total\\{.*HsmId="${home!.id}",command="findObjects"\\}`;
      const [had] = (await engine.counted(ofHome)) as [number];
      await until(async () => {
        find('again');
        return ((await engine.counted(ofHome))[0] ?? 0) > had;
      });
      expect(codeOf(() => encrypted(key))).to.equal(pkcs11js.CKR_KEY_HANDLE_INVALID);
      for (let time = 0; time < SURELY; time++) destroy(make());
      await untilAsked();
    });
  }

  it(`are those of a model, whatever comes in between: ${OPERATIONS} operations`, async () => {
    const seed = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);
    console.info(`      SOAK_SEED=${seed}`);
    const random = seeded(seed);
    const labels = ['red', 'green'];
    const sessions = [session, module.openLoggedIn(), module.openLoggedIn()];
    let keys: { handle: Buffer; label: string; by: number }[] = [];
    const before = await asked();
    const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;
    for (let count = 0; count < OPERATIONS; count++) {
      const by = random(sessions.length);
      const what = random(20);
      if (what < 10 || keys.length === 0) {
        const label = what < 9 ? labels[by % 2]! : pick(labels);
        const handle = make(label, sessions[by]!);
        if (what % 2 === 0) destroy(handle, sessions[by]!);
        else keys.push({ handle, label, by });
      } else if (what < 14) {
        const key = pick(keys);
        destroy(key.handle, sessions[what === 10 ? by : key.by]!);
        keys = keys.filter((one) => one !== key);
      } else if (what < 16) {
        const key = pick(keys);
        expect(labelOf(key.handle)).to.equal(key.label);
        expect(encrypted(key.handle, sessions[by]!)).to.have.length(32);
      } else if (what < 18) {
        const label = pick(labels);
        const there = keys.filter((key) => key.label === label).map(({ handle }) => handle.toString('hex'));
        expect(find(label, sessions[by]!)).to.deep.equal(there.sort());
      } else if (what === 18 && by > 0) {
        p11.C_CloseSession(sessions[by]!);
        sessions[by] = module.openLoggedIn();
        keys = keys.filter((key) => key.by !== by);
      }
      if (keys.length > 50)
        for (const { handle, by: owner } of keys.splice(0, 40)) destroy(handle, sessions[owner]!);
    }
    expect(await left()).to.equal(keys.length);
    expect(await asked()).to.be.greaterThan(before);
  });
});
