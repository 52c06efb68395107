import { expect } from 'chai';
import { type Log, silentLog } from '../../src/base/log.js';
import { Applications } from '../../src/bridge/applications.js';
import type { ClientOptions, ClusterClient } from '../../src/cluster/cluster-client.js';
import { MOST_LEAVING, SessionKeys } from '../../src/cluster/session-keys.js';
import { slotsFor } from '../../src/cryptoki/library.js';
import { silentLibraryLog } from '../../src/cryptoki/library-log.js';
import { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { busy } from '../../src/hsm/throttle.js';
import { HsmUnavailable } from '../../src/hsm/unavailable.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { ckr } from '../../src/pkcs11/ckr.js';
import { CKK } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';
import { mechanism, template } from '../support/program.js';
import { Signer } from '../support/signer.js';

/** A log that is read. */
class Lines {
  readonly texts: string[] = [];
  readonly log: Log;

  constructor() {
    const line = (_facts: object, text: string): void => void this.texts.push(text);
    this.log = { ...silentLog, warn: line, info: line } as unknown as Log;
  }
}

/** An HSM that answers when it is told to, and how. */
class AnsweringWhenTold {
  readonly sent: string[] = [];
  readonly #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  readonly connection: HsmConnection;

  constructor() {
    const send = (name: string, { handle }: { handle: number }): Promise<void> => {
      this.sent.push(`${name} ${handle}`);
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    };
    this.connection = { hsmId: 'hsm-1', send, close: () => undefined } as unknown as HsmConnection;
  }

  /** Answers the oldest command. */
  async answer(error?: unknown): Promise<void> {
    const { resolve, reject } = this.#waiting.shift()!;
    if (error === undefined) resolve();
    else reject(error);
    await new Promise((settled) => setImmediate(settled));
  }
}

describe('session keys that leave', () => {
  let lines: Lines;
  let hsm: AnsweringWhenTold;
  let keys: SessionKeys;
  /** How often a busy HSM is asked again. */
  let patience: number;
  let lost: HsmConnection[];

  beforeEach(() => {
    lines = new Lines();
    hsm = new AnsweringWhenTold();
    patience = 2;
    lost = [];
    keys = new SessionKeys(
      lines.log,
      async (tries) => tries <= patience,
      (home) => void lost.push(home),
    );
  });

  function leave(handle: number): void {
    keys.note(handle, true);
    expect(keys.mayLeave(handle)).to.equal(true);
    keys.leave(hsm.connection, handle);
  }
  const waits = (name: Parameters<SessionKeys['before']>[0], request?: object): boolean =>
    keys.before(name, request) !== undefined;

  it('are gone for the program at once, and destroyed when the HSM says so', async () => {
    leave(64);
    expect(keys.has(64)).to.equal(false);
    expect(hsm.sent).to.deep.equal(['destroyObject 64']);
    expect(waits('sign', { handle: 64 })).to.equal(true);
    await hsm.answer();
    expect(waits('sign', { handle: 64 })).to.equal(false);
    expect(lines.texts).to.deep.equal([]);
  });

  it('are waited for by commands that would find them, and by no others', () => {
    leave(64);
    expect(waits('wrapKey', { handle: 1, wrappingKey: 64 })).to.equal(true);
    expect(waits('unwrapKey', { unwrappingKey: 64 })).to.equal(true);
    expect(waits('findObjects', { template: [] })).to.equal(true);
    expect(waits('sign', { handle: 128 })).to.equal(false);
    expect(waits('generateKey', { template: [] })).to.equal(false);
    expect(waits('logout')).to.equal(false);
  });

  it('are those that the HSM will destroy, as far as anybody knows', () => {
    keys.note(64, false);
    keys.note(128, true);
    keys.changes(128);
    keys.changes(192);
    for (const handle of [64, 128, 192]) expect(keys.mayLeave(handle), `key ${handle}`).to.equal(false);
    expect(keys.has(192)).to.equal(false);
  });

  it('are so many at most', async () => {
    for (let handle = 1; handle <= MOST_LEAVING; handle++) leave(handle);
    keys.note(1000, true);
    expect(keys.mayLeave(1000)).to.equal(false);
    await hsm.answer();
    expect(keys.mayLeave(1000)).to.equal(true);
  });

  it('are ended where the HSM refuses to destroy them, with one line in the log', async () => {
    leave(64);
    await hsm.answer(ckr('CKR_ACTION_PROHIBITED', 'it is not to be'));
    expect(hsm.sent).to.deep.equal(['destroyObject 64', 'endSessionObject 64']);
    expect(waits('sign', { handle: 64 })).to.equal(true);
    await hsm.answer();
    expect(waits('sign', { handle: 64 })).to.equal(false);
    expect(lines.texts).to.have.length(1);
    expect(lines.texts[0]).to.include('session key 64').and.include('it is not to be');
  });

  it('are no more where an HSM refuses, until it has destroyed one for somebody who waited', async () => {
    leave(64);
    keys.note(128, true);
    await hsm.answer(busy('hsm-1'));
    expect(keys.mayLeave(128)).to.equal(false);
    await hsm.answer();
    expect(keys.mayLeave(128)).to.equal(false);
    keys.asksFirst = false;
    expect(keys.mayLeave(128)).to.equal(true);
  });

  it('are destroyed by a busy HSM later', async () => {
    leave(64);
    for (const error of [busy('hsm-1'), busy('hsm-1'), undefined]) await hsm.answer(error);
    expect(hsm.sent).to.deep.equal(Array(3).fill('destroyObject 64'));
    expect(lines.texts).to.deep.equal([]);
  });

  it('are ended in an HSM that stays busy', async () => {
    leave(64);
    for (let times = 0; times < 3; times++) await hsm.answer(busy('hsm-1'));
    expect(hsm.sent.at(-1)).to.equal('endSessionObject 64');
    await hsm.answer();
    expect(lines.texts).to.have.length(1);
    expect(lines.texts[0]).to.include('hsm-1 is busy');
  });

  it('end with their HSM: one line for all of them', async () => {
    for (const handle of [64, 128, 192]) leave(handle);
    for (let times = 0; times < 3; times++)
      await hsm.answer(new HsmUnavailable('unreachable', 'the line is cut'));
    expect(lines.texts).to.have.length(1);
    expect(lines.texts[0]).to.include('the line is cut');
    expect(hsm.sent).to.have.length(3);
    expect(waits('findObjects')).to.equal(false);
    expect(lost).to.deep.equal([hsm.connection]);
  });

  it('end with the connection where the HSM does nothing for it any more', async () => {
    leave(64);
    await hsm.answer(ckr('CKR_GENERAL_ERROR', 'the HSM failed'));
    await hsm.answer(new HsmUnavailable('joining', 'it has still to catch up'));
    expect(lost).to.deep.equal([hsm.connection]);
  });

  it("are nobody's business any more after a logout", async () => {
    for (const handle of [64, 128]) leave(handle);
    keys.letGo();
    await hsm.answer(ckr('CKR_USER_NOT_LOGGED_IN', 'nobody is logged in'));
    await hsm.answer(busy('hsm-1'));
    expect(hsm.sent).to.deep.equal(['destroyObject 64', 'destroyObject 128']);
    expect(lines.texts).to.deep.equal([]);
  });
});

describe('a program that destroys session keys of HSMs elsewhere', () => {
  let network: NetworkCluster;
  let lines: Lines;
  let hsm: Hsm;
  let client: ClusterClient;

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    hsm = network.cluster.hsms[0]!;
    lines = new Lines();
    client = await connected();
  });
  afterEach(() => network.close());

  async function connected(options: ClientOptions = {}): Promise<ClusterClient> {
    const one = (await network.open({ log: lines.log })).connect(options);
    await until(() => one.up.length === 2);
    await one.login('crypto_user', PASSWORD);
    return one;
  }

  const aes = [attribute(CKA.CKA_VALUE_LEN, 32), attribute(CKA.CKA_ENCRYPT, true)];
  const make = async (): Promise<number> => client.generateKey(CKM.CKM_AES_KEY_GEN, aes);
  const ecb = mechanism('CKM_AES_ECB');
  const describing = (handle: number) =>
    ({ handle, use: 'encrypt', mechanism: CKM.CKM_AES_ECB, keyTypes: [CKK.CKK_AES] }) as const;
  /** What the HSM has of them. */
  const left = (): number => hsm.counts.sessionKeys;
  /** What each use of the key is answered. */
  const uses = (handle: number): Promise<string[]> =>
    Promise.all([
      codeOf(() => client.describeKey(describing(handle))),
      codeOf(() => client.send('encrypt', { handle, mechanism: ecb, input: Buffer.alloc(16) })),
      codeOf(() => client.send('getAttributes', { handle, types: [CKA.CKA_LABEL] })),
      codeOf(() => client.destroyObject(handle)),
      codeOf(() => client.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'new')])),
      codeOf(() => client.copyObject(handle, [])),
    ]);
  const gone = [
    ...Array(2).fill('CKR_KEY_HANDLE_INVALID'),
    ...Array(4).fill('CKR_OBJECT_HANDLE_INVALID'),
  ] as string[];

  it('goes on at once, and finds no use for the key any more', async () => {
    const handle = await make();
    expect(client.destroyObject(handle)).to.equal(undefined);
    expect(await uses(handle)).to.deep.equal(gone);
    expect(await client.findObjects([])).to.deep.equal([]);
    expect(left()).to.equal(0);
    expect(lines.texts).to.deep.equal([]);
  });

  it('finds none either in an HSM that was slow when it destroyed it', async () => {
    const handle = await make();
    await hsm.fail('slow');
    const { read } = hsm.traffic;
    expect(client.destroyObject(handle)).to.equal(undefined);
    await until(() => hsm.traffic.read > read);
    await hsm.heal();
    expect(await uses(handle)).to.deep.equal(gone);
    expect(left()).to.equal(0);
  });

  it('leaves none behind when it makes and destroys many', async () => {
    for (let round = 0; round < 3; round++) {
      const made = await Promise.all(Array.from({ length: 2 * MOST_LEAVING }, make));
      await Promise.all(made.map((handle) => client.destroyObject(handle)));
      expect(await client.findObjects([])).to.deep.equal([]);
      expect(left()).to.equal(0);
    }
    expect(lines.texts).to.deep.equal([]);
  });

  it('is told what a busy HSM says, once it is known to be busy, and leaves no key behind', async () => {
    client.close();
    client = await connected({ retries: false });
    const handles = [await make(), await make()];
    await hsm.fail('throttled');
    expect(client.destroyObject(handles[0]!)).to.equal(undefined);
    await until(() => left() === 1);
    expect(lines.texts).to.have.length(1);
    expect(lines.texts[0]).to.include('hsm-1 is busy');
    expect(await codeOf(() => client.destroyObject(handles[1]!))).to.equal('CKR_FUNCTION_FAILED');
    await hsm.heal();
    await client.destroyObject(handles[1]!);
    expect(left()).to.equal(0);
  });

  it('goes on when the HSM is lost meanwhile: no key is left, and the log says why once', async () => {
    const handles = await Promise.all(Array.from({ length: 5 }, make));
    for (const handle of handles) expect(client.destroyObject(handle)).to.equal(undefined);
    await network.cutOff(hsm.settings.id);
    await until(() => client.up.length === 1);
    expect(await codeOf(() => client.destroyObject(handles[0]!))).to.equal('CKR_OBJECT_HANDLE_INVALID');
    await make();
    expect(left()).to.equal(0);
    expect(lines.texts.filter((text) => text.includes('session keys ended')).length).to.be.at.most(1);
  });

  it('is asked for nothing by a client that is closed right after', async () => {
    const handles = await Promise.all(Array.from({ length: 5 }, make));
    for (const handle of handles) expect(client.destroyObject(handle)).to.equal(undefined);
    client.close();
    await until(() => left() === 0);
    expect(lines.texts).to.deep.equal([]);
  });
});

describe('a session key of an HSM elsewhere', () => {
  let network: NetworkCluster;
  let hsm: Hsm;
  let program: Signer;

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 1 });
    hsm = network.cluster.hsms[0]!;
    const slots = slotsFor({ clusters: [await network.open()], profile: 'compatible' }, undefined);
    const readiness = new ReadinessRecord(silentLog);
    program = await Signer.open(new Applications(() => ({ slots, log: silentLibraryLog, readiness })));
  });
  afterEach(async () => {
    program.wire.close();
    await network.close();
  });

  const destroy = async (hObject: number) => (await program.call('C_DestroyObject', { hObject })).code;
  const initSign = async (hKey: number) => (await program.signInit(hKey, mechanism('CKM_SHA256_HMAC'))).code;

  it('is no handle any more when it is destroyed, also in the middle of an operation', async () => {
    const hKey = await program.hmacKey();
    expect(await initSign(hKey)).to.equal('CKR_OK');
    expect(await destroy(hKey)).to.equal('CKR_OK');
    expect((await program.call('C_Sign', { pData: Buffer.alloc(8), pSignature: 64 })).code).to.equal(
      'CKR_KEY_HANDLE_INVALID',
    );
    expect(await initSign(hKey)).to.equal('CKR_KEY_HANDLE_INVALID');
    expect(await destroy(hKey)).to.equal('CKR_OBJECT_HANDLE_INVALID');
    expect(hsm.counts.sessionKeys).to.equal(0);
  });

  it('stays when it may not be destroyed', async () => {
    const hKey = await program.hmacKey({ CKA_DESTROYABLE: false });
    expect(await destroy(hKey)).to.equal('CKR_ACTION_PROHIBITED');
    expect(await initSign(hKey)).to.equal('CKR_OK');
    const other = await program.hmacKey();
    const pTemplate = template({ CKA_DESTROYABLE: false });
    await program.must('C_SetAttributeValue', { hObject: other, pTemplate });
    expect(await destroy(other)).to.equal('CKR_ACTION_PROHIBITED');
    expect(hsm.counts.sessionKeys).to.equal(2);
  });

  for (const end of ['C_CloseSession', 'C_Logout', 'C_Finalize'] as const) {
    it(`is gone as well when ${end} follows at once`, async () => {
      const hKeys = [await program.hmacKey(), await program.hmacKey(), await program.hmacKey()];
      const ending = [destroy(hKeys[0]!), destroy(hKeys[1]!), program.call(end, { pReserved: false })];
      await Promise.all(ending);
      await until(() => hsm.counts.sessionKeys === 0);
      expect(new Map(hsm.commandCounts()).get('destroyObject')).to.equal(2);
    });
  }
});
