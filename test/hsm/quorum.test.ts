import { expect } from 'chai';
import type { Clock } from '../../src/base/clock.js';
import { Hsm, type HsmConnection } from '../../src/hsm/hsm.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import type { RecordStore } from '../../src/store/record-store.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';
import { OfficerKey } from '../support/officers.js';

const names = ['officer1', 'officer2', 'officer3'] as const;
type Officer = (typeof names)[number];

describe('the quorum of an HSM', () => {
  const keys = Object.fromEntries(names.map((name) => [name, new OfficerKey()])) as Record<
    Officer,
    OfficerKey
  >;
  let passwordHash: string;
  let template: Hsm;
  let store: RecordStore;
  let hsm: Hsm;
  let nowMs: number;
  let one: HsmConnection;

  before(async () => {
    passwordHash = await hashNewPassword(PASSWORD);
    template = (await memoryCluster({ hsms: 1 })).hsms[0]!;
  });

  beforeEach(async () => {
    nowMs = 1_700_000_000_000;
    const clock: Clock = { nowMs: () => nowMs };
    store = openMemoryStore();
    const users = names.map((name) => ({ name, role: 'CO' as const, passwordHash }));
    await Hsm.provision(store, { maskingKey: Buffer.alloc(32, 3), users });
    hsm = await Hsm.open(store, template.settings, template.log, clock);
    for (const name of names) {
      const connection = await loggedIn(hsm, name, 'CO');
      const token = Buffer.from(`a file of ${name}`);
      const { publicKey } = keys[name];
      await connection.send('registerPublicKey', { token, publicKey, signature: keys[name].signFile(token) });
      connection.close();
    }
    one = await loggedIn(hsm, 'officer1', 'CO');
  });

  let made = 0;
  const create =
    (by = one) =>
    () =>
      by.send('createUser', { name: `made_${made++}`, role: 'CU', password: PASSWORD });
  const set = (service: 'user' | 'quorum', value: number, by = one) =>
    by.send('setQuorumValue', { service, value });

  async function approved(service: 'user' | 'quorum', officers: readonly Officer[], by = one): Promise<void> {
    const { record } = await by.send('getToken', { service });
    const approvals = officers.map((name) => ({ name, signature: keys[name].signFile(record) }));
    await by.send('approveToken', { approvalData: record, approvals });
  }

  it('is off until a value is set, which no more COs can be asked for than there are', async () => {
    expect(await one.send('getQuorumValues', undefined)).to.deep.equal({ user: 1, quorum: 1, cluster: 1 });
    expect(await codeOf(create())).to.equal('CKR_OK');
    expect(await codeOf(() => one.send('getToken', { service: 'user' }))).to.equal('CKR_ACTION_PROHIBITED');
    for (const value of [0, 1, 4, 9])
      expect(await codeOf(() => set('user', value)), `${value}`).to.equal('CKR_ARGUMENTS_BAD');
    await set('user', 2);
    expect(await hsm.connect().send('getQuorumValues', undefined)).to.deep.equal({
      user: 2,
      quorum: 1,
      cluster: 1,
    });
    const restarted = await Hsm.open(store, template.settings, template.log);
    expect(restarted.quorum.values).to.deep.equal({ user: 2, quorum: 1, cluster: 1 });
  });

  it('lets a command of the service pass once, with a token that enough COs have approved', async () => {
    await set('user', 2);
    expect(await codeOf(create())).to.equal('CKR_FUNCTION_REJECTED');
    await approved('user', ['officer1']);
    expect(await codeOf(create()), 'one is too few').to.equal('CKR_FUNCTION_REJECTED');
    await one.send('deleteTokens', { scope: 'user' });
    await approved('user', ['officer1', 'officer3']);
    expect(await codeOf(create())).to.equal('CKR_OK');
    expect(await codeOf(create()), 'the token is used up').to.equal('CKR_FUNCTION_REJECTED');
  });

  it('guards users, not what a user does to itself, and keeps the token when the command fails', async () => {
    await create()();
    const whom = { name: `made_${made - 1}`, role: 'CU' } as const;
    await set('user', 2);
    const guarded: [string, () => unknown][] = [
      ['deleteUser', () => one.send('deleteUser', whom)],
      ['changePassword', () => one.send('changePassword', { ...whom, password: PASSWORD })],
      ['changeSecondFactor', () => one.send('changeSecondFactor', whom)],
    ];
    for (const [name, attempt] of guarded)
      expect(await codeOf(attempt), name).to.equal('CKR_FUNCTION_REJECTED');
    const self = await loggedIn(hsm, whom.name, 'CU');
    expect(await codeOf(() => self.send('changePassword', { ...whom, password: PASSWORD }))).to.equal(
      'CKR_OK',
    );
    await approved('user', ['officer1', 'officer2']);
    expect(await codeOf(() => one.send('deleteUser', whom)), 'it is logged in').to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    self.close();
    expect(await codeOf(() => one.send('deleteUser', whom))).to.equal('CKR_OK');
  });

  it('does not bring back a token whose login ended while a command was under way', async () => {
    await create()();
    const whom = { name: `made_${made - 1}`, role: 'CU' } as const;
    const self = await loggedIn(hsm, whom.name, 'CU');
    await set('user', 2);
    await approved('user', ['officer1', 'officer2']);
    const deletion = codeOf(() => one.send('deleteUser', whom));
    one.close();
    expect(await deletion, 'it is logged in').to.equal('CKR_ACTION_PROHIBITED');
    self.close();
    const two = await loggedIn(hsm, 'officer2', 'CO');
    expect(await two.send('listTokens', undefined)).to.deep.equal([]);
  });

  it('counts no approval of a CO who has been deleted meanwhile, nor of a new one of that name', async () => {
    await set('user', 2);
    await approved('user', ['officer1', 'officer2']);
    const three = await loggedIn(hsm, 'officer3', 'CO');
    const asThree = () => approved('user', ['officer1', 'officer3'], three);
    const officer2 = { name: 'officer2', role: 'CO' } as const;
    await asThree();
    await three.send('deleteUser', officer2);
    expect((await one.send('listTokens', undefined))[0]!.approvers).to.deep.equal(['officer1']);
    expect(await codeOf(create())).to.equal('CKR_FUNCTION_REJECTED');
    await asThree();
    await three.send('createUser', { ...officer2, password: PASSWORD });
    const two = await loggedIn(hsm, 'officer2', 'CO');
    const token = Buffer.from('registration');
    const { publicKey } = keys.officer2;
    await two.send('registerPublicKey', { token, publicKey, signature: keys.officer2.signFile(token) });
    expect(await codeOf(create())).to.equal('CKR_FUNCTION_REJECTED');
  });

  it('takes a quorum to change one', async () => {
    await set('user', 2);
    // "A service-4 token, which can only be got when m(4) ≥ 2."
    expect(await codeOf(() => set('user', 3))).to.equal('CKR_FUNCTION_REJECTED');
    await set('quorum', 3);
    await approved('quorum', ['officer1', 'officer2']);
    expect(await codeOf(() => set('user', 3))).to.equal('CKR_FUNCTION_REJECTED');
    await one.send('deleteTokens', { scope: 'all' });
    await approved('quorum', names);
    expect(await codeOf(() => set('user', 3))).to.equal('CKR_OK');
  });

  it('believes signatures of registered COs over the tokens of all HSMs, and nothing else', async () => {
    await set('user', 2);
    const { record } = await one.send('getToken', { service: 'user' });
    const otherHsms = Buffer.alloc(80, 6);
    const all = Buffer.concat([otherHsms, record]);
    const approve =
      (approvalData: Buffer, name: string, signature: Buffer, by = one) =>
      () =>
        by.send('approveToken', { approvalData, approvals: [{ name, signature }] });
    const { officer1, officer2 } = keys;
    expect(await codeOf(approve(all, 'officer2', officer1.signFile(all)))).to.equal('CKR_SIGNATURE_INVALID');
    expect(await codeOf(approve(all, 'officer2', officer2.signFile(record)))).to.equal(
      'CKR_SIGNATURE_INVALID',
    );
    expect(await codeOf(approve(all, 'nobody', officer2.signFile(all)))).to.equal('CKR_SIGNATURE_INVALID');
    expect(await codeOf(approve(otherHsms, 'officer2', officer2.signFile(otherHsms)))).to.equal(
      'CKR_ARGUMENTS_BAD',
    );
    const short = all.subarray(1);
    expect(await codeOf(approve(short, 'officer2', officer2.signFile(short)))).to.equal('CKR_ARGUMENTS_BAD');
    const two = await loggedIn(hsm, 'officer2', 'CO');
    expect(await codeOf(approve(all, 'officer2', officer2.signFile(all), two)), 'of another login').to.equal(
      'CKR_ARGUMENTS_BAD',
    );
    // The same officer twice is one; the CLI's form of a signature is as good as the file's.
    for (let twice = 0; twice < 2; twice++) await approve(all, 'officer2', officer2.signAsCli(all))();
    expect(await codeOf(create())).to.equal('CKR_FUNCTION_REJECTED');
    await approve(all, 'officer1', officer1.signFile(all))();
    const [token] = await one.send('listTokens', undefined);
    expect(token).to.include({ service: 'user', user: 'officer1', secondsLeft: 600, required: 2 });
    expect(token!.approvers).to.deep.equal(['officer2', 'officer1']);
    expect(await codeOf(create(two)), "a token is its holder's").to.equal('CKR_FUNCTION_REJECTED');
    expect(await codeOf(create())).to.equal('CKR_OK');
  });

  it('has tokens that live 600 seconds and no longer than the login, one per user and service', async () => {
    await set('user', 2);
    await approved('user', ['officer1', 'officer2']);
    expect(await codeOf(() => one.send('getToken', { service: 'user' }))).to.equal('CKR_ACTION_PROHIBITED');
    nowMs += 599_999;
    expect(await one.send('listTokens', undefined)).to.have.length(1);
    nowMs += 1;
    expect(await one.send('listTokens', undefined)).to.have.length(0);
    expect(await codeOf(create())).to.equal('CKR_FUNCTION_REJECTED');
    await approved('user', ['officer1', 'officer2']);
    await one.send('logout', undefined);
    await one.send('login', { name: 'officer1', role: 'CO', password: PASSWORD });
    expect(await codeOf(create())).to.equal('CKR_FUNCTION_REJECTED');
  });

  // The guide's pages of quorum token-sign list-timeouts and set-timeout; the bounds are ours.
  it('lets tokens live as long as a CO has set, until they are approved and from then on', async () => {
    const timeouts = () => hsm.connect().send('getTokenTimeouts', undefined);
    expect(await timeouts()).to.deep.equal({ generated: 600, approved: 600 });
    const setTimeouts = (generated?: number, approved?: number) =>
      codeOf(() => one.send('setTokenTimeouts', { generated, approved }));
    for (const seconds of [0, 86_401])
      for (const wrong of [setTimeouts(seconds), setTimeouts(undefined, seconds)])
        expect(await wrong, `${seconds}`).to.equal('CKR_ARGUMENTS_BAD');
    expect(await setTimeouts()).to.equal('CKR_ARGUMENTS_BAD');
    expect(await setTimeouts(900)).to.equal('CKR_OK');
    expect(await setTimeouts(undefined, 60)).to.equal('CKR_OK');
    const restarted = await Hsm.open(store, template.settings, template.log);
    expect(restarted.quorum.timeouts).to.deep.equal({ generated: 900, approved: 60 });

    await set('user', 2);
    const secondsLeft = async () => (await one.send('listTokens', undefined))[0]?.secondsLeft;
    const { record } = await one.send('getToken', { service: 'user' });
    expect(await secondsLeft()).to.equal(900);
    nowMs += 899_000;
    const approve = (name: Officer) =>
      one.send('approveToken', {
        approvalData: record,
        approvals: [{ name, signature: keys[name].signFile(record) }],
      });
    await approve('officer1');
    expect(await secondsLeft(), 'one approval is not enough').to.equal(1);
    await approve('officer2');
    expect(await secondsLeft()).to.equal(60);
    nowMs += 59_000;
    await approve('officer3');
    expect(await secondsLeft(), 'more approvals make it live no longer').to.equal(1);
    nowMs += 1_000;
    expect(await secondsLeft()).to.equal(undefined);
    expect(await codeOf(create())).to.equal('CKR_FUNCTION_REJECTED');
  });

  it('writes tokens as CloudHSM does: 80 bytes', async () => {
    await set('user', 2);
    const { id, record } = await one.send('getToken', { service: 'user' });
    // Reference management-tools, section 6.7.
    expect(record).to.have.length(80);
    expect([record.readUInt16BE(0), record.readUInt16BE(2), record.readUInt32BE(4)]).to.deep.equal([
      1,
      3,
      id,
    ]);
    expect(record.readBigUInt64BE(8)).to.equal(0n);
    expect(record.subarray(32, 64).toString('latin1')).to.equal('officer1'.padEnd(32, '\0'));
    expect(record.readBigUInt64BE(64)).to.equal(1_700_000_000n);
    expect(record.readBigUInt64BE(72)).to.equal(0n);
  });

  it('registers keys with a signature of a token of up to 245 bytes, and not over a second factor', async () => {
    const { publicKey } = keys.officer1;
    const register = (token: Buffer, signature: Buffer) => () =>
      one.send('registerPublicKey', { token, publicKey, signature });
    const token = Buffer.alloc(245, 1);
    expect(await codeOf(register(token, keys.officer1.signFile(token)))).to.equal('CKR_OK');
    expect(await codeOf(register(token, keys.officer2.signFile(token)))).to.equal('CKR_SIGNATURE_INVALID');
    const longer = Buffer.alloc(246);
    expect(await codeOf(register(longer, keys.officer1.signFile(longer)))).to.equal('CKR_ARGUMENTS_BAD');
    const signature = keys.officer1.signDigest(await one.send('getChallenge', undefined));
    await one.send('changeSecondFactor', {
      name: 'officer1',
      role: 'CO',
      secondFactor: { publicKey, signature },
    });
    expect(await codeOf(register(token, keys.officer1.signFile(token)))).to.equal('CKR_ACTION_PROHIBITED');
  });
});
