import { expect } from 'chai';
import type { Applications } from '../../src/bridge/applications.js';
import { callCounts } from '../../src/cryptoki/dispatch.js';
import { Search } from '../../src/cryptoki/search.js';
import { ROOM_QUERY } from '../../src/wire/arguments.js';
import { memoryEngine } from '../support/in-process.js';
import { template } from '../support/program.js';
import { Signer } from '../support/signer.js';
import { WireCaller } from '../support/wire-caller.js';

const callsOf = (name: string): number => callCounts().find(({ call }) => call === name)?.count ?? 0;

describe('searches', () => {
  let applications: Applications;
  let program: Signer;
  let keys: number[];
  /** How often JavaScript was asked for handles, or to end a search, since the last look. */
  let asked: number;
  const { requireUnderWay } = Search.prototype;
  before(() => {
    Search.prototype.requireUnderWay = function (this: Search) {
      asked++;
      requireUnderWay.call(this);
    };
  });
  after(() => {
    Search.prototype.requireUnderWay = requireUnderWay;
  });
  beforeEach(async () => {
    ({ applications } = await memoryEngine());
    program = await Signer.open(applications);
    keys = [];
    for (let count = 0; count < 12; count++) {
      const CKA_LABEL = Buffer.from(count < 3 ? 'few' : 'many');
      keys.push(await program.aesKey({ CKA_LABEL, CKA_ID: Buffer.from([count]) }));
    }
    for (let time = 0; time < 3; time++) await search('few');
    asked = 0;
  });
  afterEach(() => program.wire.close());

  const init = (label: string) =>
    program.call('C_FindObjectsInit', { pTemplate: template({ CKA_LABEL: Buffer.from(label) }) });
  const find = async (max: number, room = max) => {
    const { code, output } = await program.call('C_FindObjects', { phObject: { room, max } });
    return output['phObject'] ?? code;
  };
  const final = async () => (await program.call('C_FindObjectsFinal', {})).code;
  async function search(label: string): Promise<unknown> {
    await init(label);
    const found = await find(20);
    expect(await final()).to.equal('CKR_OK');
    return found;
  }

  it('that are repeated are answered without JavaScript, in pieces as in one', async () => {
    expect(await search('few')).to.deep.equal(keys.slice(0, 3));
    expect(await search('none')).to.deep.equal([]);
    await init('few');
    expect(await find(2)).to.deep.equal(keys.slice(0, 2));
    expect(await find(0)).to.deep.equal([]);
    expect(await find(2)).to.deep.equal(keys.slice(2, 3));
    expect(await find(2)).to.deep.equal([]);
    expect(await final()).to.equal('CKR_OK');
    expect(asked).to.equal(0);
  });

  it('go on where they were when something else is asked between', async () => {
    await init('few');
    expect(await find(1)).to.deep.equal(keys.slice(0, 1));
    expect(await find(9, ROOM_QUERY)).to.deep.equal({ length: 2 });
    expect((await init('few')).code).to.equal('CKR_OPERATION_ACTIVE');
    expect(await find(9)).to.deep.equal(keys.slice(1, 3));
    expect(await final()).to.equal('CKR_OK');
    expect(await final()).to.equal('CKR_OPERATION_NOT_INITIALIZED');
    expect(await find(1)).to.equal('CKR_OPERATION_NOT_INITIALIZED');
  });

  it('give what was found when they began, whatever became of it', async () => {
    await init('few');
    await program.must('C_DestroyObject', { hObject: keys[0]! });
    expect(await find(9)).to.deep.equal(keys.slice(0, 3));
    await final();
    expect(await search('few')).to.deep.equal(keys.slice(1, 3));
  });

  it('of many objects are answered as those of few', async () => {
    const pTemplate = template({ CKA_LABEL: Buffer.from('many') });
    for (let count = 0; count < 4; count++) await program.aesKey({ CKA_LABEL: Buffer.from('many') });
    await program.must('C_FindObjectsInit', { pTemplate });
    expect(await find(9)).to.deep.equal(keys.slice(3));
    expect(await find(9)).to.have.length(4);
    expect(await final()).to.equal('CKR_OK');
  });

  it('are one application’s, and of one session', async () => {
    await init('few');
    const other = await WireCaller.open(applications);
    const input = { hSession: program.hSession, phObject: { room: 9, max: 9 } };
    expect((await other.call('C_FindObjects', input)).code).to.equal('CKR_SESSION_HANDLE_INVALID');
    other.close();
    const opened = await program.must('C_OpenSession', { slotID: 0, flags: 6 });
    const elsewhere = await program.wire.call('C_FindObjects', {
      ...input,
      hSession: opened['phSession'] as number,
    });
    expect(elsewhere.code).to.equal('CKR_OPERATION_NOT_INITIALIZED');
    expect(await find(9)).to.deep.equal(keys.slice(0, 3));
  });

  const ends = {
    C_Logout: 'CKR_OPERATION_NOT_INITIALIZED',
    C_CloseSession: 'CKR_SESSION_HANDLE_INVALID',
    C_CloseAllSessions: 'CKR_SESSION_HANDLE_INVALID',
    C_Finalize: 'CKR_SESSION_HANDLE_INVALID',
  } as const;
  for (const [call, code] of Object.entries(ends)) {
    it(`end with ${call}`, async () => {
      await init('few');
      await program.must(call as keyof typeof ends, { slotID: 0, pReserved: false });
      expect(await find(9)).to.equal(code);
      expect(await final()).to.equal(code);
    });
  }

  it('count as calls, each one', async () => {
    const names = ['C_FindObjectsInit', 'C_FindObjects', 'C_FindObjectsFinal'];
    const before = names.map(callsOf);
    for (let time = 0; time < 50; time++) await search('few');
    expect(asked).to.equal(0);
    expect(names.map(callsOf)).to.deep.equal(before.map((count) => count + 50));
    await init('few');
    await find(1);
    await program.must('C_CloseSession', {});
    expect(callsOf('C_FindObjects')).to.equal(before[1]! + 51);
  });
});
