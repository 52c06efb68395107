import { expect } from 'chai';
import fc from 'fast-check';
import type { Applications } from '../../src/bridge/applications.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import { callCounts } from '../../src/cryptoki/dispatch.js';
import type { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { type AttributeAnswer, ROOM_QUERY } from '../../src/wire/arguments.js';
import { type ClusterOptions, loggedIn, memoryEngine, PASSWORD } from '../support/in-process.js';
import { template } from '../support/program.js';
import { watchSentCommands } from '../support/sent-commands.js';
import { Signer, VALUE } from '../support/signer.js';

const RUNS = Number(process.env['CLOUDHSM_LOCAL_PROPERTY_RUNS'] ?? 60);
const OLD = { CKA_TOKEN: true, CKA_LABEL: Buffer.from('old') };

interface How {
  readonly by?: Signer;
  readonly type?: number;
  readonly room?: number;
  readonly hSession?: number;
}

describe('attributes that are read again and again', () => {
  let applications: Applications;
  let cluster: Cluster;
  let readiness: ReadinessRecord;
  let program: Signer;
  let others: Signer[];
  const sent = watchSentCommands();

  async function start(options: ClusterOptions = {}): Promise<void> {
    ({ applications, cluster, readiness } = await memoryEngine(options));
    others = [];
    program = await Signer.open(applications);
  }
  beforeEach(() => start());
  afterEach(() => {
    for (const { wire } of [program, ...others]) wire.close();
  });

  async function another(user?: string): Promise<Signer> {
    const other = await Signer.open(applications, user);
    others.push(other);
    return other;
  }
  /** What C_GetAttributeValue says, of one attribute. */
  async function read(hObject: number, how: How = {}): Promise<string | number> {
    const { by = program, type = CKA.CKA_LABEL, room = 64, hSession = by.hSession } = how;
    const input = { hSession, hObject, pTemplate: [{ type, room }] };
    const { code, output } = await by.call('C_GetAttributeValue', input);
    if (code !== 'CKR_OK') return code;
    const [{ value, lengthBytes }] = output['pTemplate'] as [AttributeAnswer];
    return value?.toString() ?? lengthBytes;
  }
  const untilRepeated = (hObject: number, how: How = {}): Promise<void> =>
    sent.untilRepeated(() => read(hObject, how));
  const setLabel = (hObject: number, label: string, by = program) =>
    by.must('C_SetAttributeValue', { hObject, pTemplate: template({ CKA_LABEL: Buffer.from(label) }) });
  /** As the tools do, on every HSM. */
  async function onHsms(
    work: (connection: Awaited<ReturnType<typeof loggedIn>>) => unknown,
    user = 'crypto_user',
  ): Promise<void> {
    for (const hsm of cluster.hsms) {
      const connection = await loggedIn(hsm, user, 'CU');
      await work(connection);
      connection.close();
    }
  }
  const shares = (key: number, how: 'shareKey' | 'unshareKey') =>
    onHsms((connection) => connection.send(how, { handle: key, user: 'other_user' }));

  it('are answered by the engine itself, in each session, as they were', async () => {
    const key = await program.aesKey(OLD);
    const second = await program.must('C_OpenSession', { slotID: 0, flags: 6 });
    const ways = [
      {},
      { room: ROOM_QUERY },
      { hSession: second['phSession'] as number },
      { type: CKA.CKA_ID },
    ];
    const first = [];
    for (const how of ways) first.push(await read(key, how));
    expect(first).to.deep.equal(['old', 3, 'old', '']);
    for (const how of ways) await untilRepeated(key, how);
    const again = [];
    for (const how of ways) again.push(await read(key, how));
    expect(again).to.deep.equal(first);
    expect(sent.names).to.deep.equal([]);
    expect(await read(key, { hSession: 1 })).to.equal('CKR_SESSION_HANDLE_INVALID');
  });

  describe('are read anew', () => {
    const changes: Record<string, { change: (key: number) => Promise<unknown>; reads: string | number }> = {
      'when the program changes them': { change: (key) => setLabel(key, 'new'), reads: 'new' },
      'when another program does': {
        change: async (key) => setLabel(key, 'new', await another()),
        reads: 'new',
      },
      'when a tool does': {
        change: (handle) =>
          onHsms((connection) =>
            connection.send('setKeyAttribute', {
              handle,
              attribute: { type: CKA.CKA_LABEL, value: Buffer.from('new') },
            }),
          ),
        reads: 'new',
      },
      'when the HSM hears of it from another one': {
        change: async (key) => {
          for (const { objects } of cluster.hsms) {
            const { object } = objects.get(key)!;
            const attributes = new Map(object.attributes).set(CKA.CKA_LABEL, Buffer.from('new'));
            const material = Buffer.from(object.material);
            await objects.adopt({ ...object, attributes, material, version: object.version + 1 });
          }
        },
        reads: 'new',
      },
      'when the object is destroyed': {
        change: (key) => program.must('C_DestroyObject', { hObject: key }),
        reads: 'CKR_OBJECT_HANDLE_INVALID',
      },
      'when another program destroys it': {
        change: async (key) => (await another()).must('C_DestroyObject', { hObject: key }),
        reads: 'CKR_OBJECT_HANDLE_INVALID',
      },
      'when the HSM hears that it was destroyed': {
        change: async (key) => {
          for (const { objects } of cluster.hsms) await objects.bury(key);
        },
        reads: 'CKR_OBJECT_HANDLE_INVALID',
      },
      'after a logout': { change: () => program.must('C_Logout', {}), reads: 'CKR_USER_NOT_LOGGED_IN' },
      'when another user logs in': {
        change: async () => {
          await program.must('C_Logout', {});
          await program.must('C_Login', { userType: 1, pPin: Buffer.from(`other_user:${PASSWORD}`) });
        },
        reads: 'CKR_OBJECT_HANDLE_INVALID',
      },
      'when the session is closed': {
        change: () => program.must('C_CloseSession', {}),
        reads: 'CKR_SESSION_HANDLE_INVALID',
      },
      'when all sessions are closed': {
        change: () => program.must('C_CloseAllSessions', { slotID: 0 }),
        reads: 'CKR_SESSION_HANDLE_INVALID',
      },
      'after C_Finalize': {
        change: () => program.must('C_Finalize', { pReserved: false }),
        reads: 'CKR_SESSION_HANDLE_INVALID',
      },
      'by another HSM when the first one fails': {
        change: async (key) => {
          await cluster.hsms[0]!.fail('unreachable');
          await setLabel(key, 'new');
        },
        reads: 'new',
      },
      'by an HSM that has come back': {
        change: async (key) => {
          await cluster.hsms[0]!.fail('slow');
          await setLabel(key, 'new');
          await cluster.hsms[0]!.heal();
        },
        reads: 'new',
      },
    };
    for (const [title, { change, reads }] of Object.entries(changes)) {
      it(title, async () => {
        const key = await program.aesKey(OLD);
        await untilRepeated(key);
        await change(key);
        expect(await read(key)).to.equal(reads);
      });
    }

    it('by whom the key is no longer shared with', async () => {
      const key = await program.aesKey(OLD);
      const other = await another('other_user');
      expect(await read(key, { by: other })).to.equal('CKR_OBJECT_HANDLE_INVALID');
      await shares(key, 'shareKey');
      await untilRepeated(key, { by: other });
      await shares(key, 'unshareKey');
      expect(await read(key, { by: other })).to.equal('CKR_OBJECT_HANDLE_INVALID');
      await shares(key, 'shareKey');
      expect(await read(key, { by: other })).to.equal('old');
    });

    it('of a session key too', async () => {
      const key = await program.aesKey({ CKA_LABEL: Buffer.from('old') });
      await untilRepeated(key);
      await setLabel(key, 'new');
      expect(await read(key)).to.equal('new');
      await untilRepeated(key);
      await program.must('C_CloseSession', {});
      const opened = await program.must('C_OpenSession', { slotID: 0, flags: 6 });
      await program.must('C_Login', {
        hSession: opened['phSession'],
        userType: 1,
        pPin: Buffer.from(`crypto_user:${PASSWORD}`),
      });
      expect(await read(key, { hSession: opened['phSession'] as number })).to.equal(
        'CKR_OBJECT_HANDLE_INVALID',
      );
    });
  });

  it('are asked for each time where the answer is a refusal, or counts as a deviation', async () => {
    const key = await program.aesKey({ CKA_TOKEN: true, CKA_SENSITIVE: false });
    for (let time = 0; time < 5; time++) await read(key, { type: CKA.CKA_VALUE });
    const use = readiness.uses().find(({ deviation }) => deviation === 'read-secret');
    expect(use).to.include({ count: 5, call: 'C_GetAttributeValue' });
    expect(await read(key, { type: CKA.CKA_VALUE })).to.equal(VALUE.toString());
    sent.names = [];
    const outcomes = [{ type: CKA.CKA_MODULUS }, { type: CKA.CKA_KEY_TYPE, room: 2 }];
    for (const how of outcomes) for (let time = 0; time < 5; time++) await read(key, how);
    expect(sent.names).to.deep.equal(Array.from({ length: 10 }, () => 'getAttributes'));
  });

  it('are commands each time where the HSM counts them', async () => {
    program.wire.close();
    await start({ commandsPerSecond: 1_000_000 });
    const key = await program.aesKey(OLD);
    sent.names = [];
    for (let time = 0; time < 5; time++) await read(key);
    expect(sent.names).to.have.length(5);
  });

  it('count as calls and as commands, each one', async () => {
    const key = await program.aesKey(OLD);
    const calls = () => callCounts().find(({ call }) => call === 'C_GetAttributeValue')?.count ?? 0;
    const commands = () =>
      cluster.hsms.reduce(
        (sum, hsm) => sum + (hsm.commandCounts().find(([name]) => name === 'getAttributes')?.[1] ?? 0),
        0,
      );
    const before = [calls(), commands()];
    for (let time = 0; time < 100; time++) await read(key);
    expect([calls(), commands()]).to.deep.equal(before.map((count) => count + 100));
    for (let time = 0; time < 100; time++) await read(key);
    program.wire.close();
    expect([calls(), commands()]).to.deep.equal(before.map((count) => count + 200));
  });

  it(`are what they are at the moment, whoever changes them, in ${RUNS} random sequences`, async function () {
    this.timeout(0);
    const other = await another();
    const guest = await another('other_user');
    const programs = [program, other, guest];
    const what = fc.constantFrom(
      'read',
      'read',
      'read',
      'read',
      'set',
      'tool',
      'share',
      'unshare',
      'destroy',
    );
    const step = fc.tuple(what, fc.nat(2), fc.nat(2));
    const alone = fc.tuple(fc.constant('read' as const), fc.nat(2), fc.nat(2));
    const often = alone.map((one) => [one, one, one, one]);
    const steps = fc.array(fc.oneof(often, fc.tuple(step)), { minLength: 10, maxLength: 60 });
    let count = 0;
    const play = async (all: readonly [string, number, number][]): Promise<void> => {
      const keys = [];
      for (let at = 0; at < 3; at++) {
        const isToken = at > 0;
        const handle = await program.aesKey({ ...OLD, CKA_TOKEN: isToken });
        keys.push({ handle, isToken, label: 'old', isShared: false, isThere: true });
      }
      for (const [name, who, which] of all) {
        const key = keys[which]!;
        const { handle, isToken } = key;
        const by = programs[who]!;
        const isSeen = key.isThere && (isToken ? by !== guest || key.isShared : by === program);
        const owner = isToken ? other : program;
        if (name === 'read')
          expect(await read(handle, { by })).to.equal(isSeen ? key.label : 'CKR_OBJECT_HANDLE_INVALID');
        if (!key.isThere) continue;
        if (name === 'set') {
          key.label = `label ${count++}`;
          await setLabel(handle, key.label, owner);
        }
        if (name === 'destroy') {
          await owner.must('C_DestroyObject', { hObject: handle });
          key.isThere = false;
        }
        if (!isToken) continue;
        if (name === 'tool') {
          key.label = `label ${count++}`;
          const value = Buffer.from(key.label);
          await onHsms((connection) =>
            connection.send('setKeyAttribute', { handle, attribute: { type: CKA.CKA_LABEL, value } }),
          );
        }
        if (name === 'share' || name === 'unshare') {
          if (key.isShared === (name === 'share')) continue;
          await shares(handle, `${name}Key`);
          key.isShared = name === 'share';
        }
      }
    };
    await fc.assert(
      fc.asyncProperty(steps, (all) => play(all.flat() as [string, number, number][])),
      { numRuns: RUNS },
    );
  });
});
