import { expect } from 'chai';
import type { Clock } from '../../src/base/clock.js';
import type { CommandName, RequestOf } from '../../src/hsm/commands/index.js';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';
import { approvedToken, newQuorumKey, registerKey, twoOfTwo } from '../support/key-quorums.js';
import { OfficerKey } from '../support/officers.js';

const REFUSED = 'CKR_FUNCTION_REJECTED';
const aesKey: Template = [
  attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
  attribute(CKA.CKA_KEY_TYPE, CKK.CKK_AES),
];
const plain = (type: number) => ({ type, parameter: undefined });
const cbc = { type: CKM.CKM_AES_CBC, parameter: Buffer.alloc(16) };
const input = Buffer.alloc(32, 1);

describe('a key with a quorum', () => {
  const keys = { crypto_user: new OfficerKey(), other_user: new OfficerKey() };
  let hsm: Hsm;
  let nowMs: number;
  let owner: HsmConnection;
  let other: HsmConnection;
  let admin: HsmConnection;
  let handle: number;
  let free: number;

  beforeEach(async () => {
    nowMs = 1_700_000_000_000;
    const clock: Clock = { nowMs: () => nowMs };
    hsm = (await memoryCluster({ hsms: 1, clock })).hsms[0]!;
    owner = await loggedIn(hsm, 'crypto_user', 'CU');
    other = await loggedIn(hsm, 'other_user', 'CU');
    admin = await loggedIn(hsm, 'admin', 'CO');
    await registerKey(owner, keys.crypto_user);
    await registerKey(other, keys.other_user);
    handle = await newQuorumKey(owner, { sharedWith: ['other_user'], quorum: twoOfTwo });
    free = await newQuorumKey(owner, undefined);
  });

  const wrapping = plain(CKM.CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD);
  const mac = plain(CKM.CKM_SHA256_HMAC);
  const label = [attribute(CKA.CKA_LABEL, 'another')];

  async function wrappedByFree(): Promise<Buffer> {
    const request = { wrappingKey: free, handle: free, mechanism: wrapping, roomBytes: 1000 };
    return Buffer.from((await owner.send('wrapKey', request)).wrapped!);
  }

  /** THE row per command on a key: which approvals it takes (reference management-tools, section 6.7). */
  async function commandsOn(key: number, partner: number) {
    const request = <N extends CommandName>(name: N, of: RequestOf<N>) => [name, of] as const;
    const wrapped = await wrappedByFree();
    return {
      'key-usage': [
        request('sign', { handle: key, mechanism: plain(CKM.CKM_AES_CMAC), input }),
        request('encrypt', { handle: key, mechanism: cbc, input }),
        request('decrypt', { handle: key, mechanism: cbc, input }),
      ],
      'key-management': [
        request('setKeyAttribute', { handle: key, attribute: attribute(CKA.CKA_LABEL, 'new') }),
        request('setAttributes', { handle: key, template: label }),
        request('shareKey', { handle: key, user: 'other_user' }),
        request('unwrapKey', {
          unwrappingKey: key,
          mechanism: wrapping,
          wrapped,
          template: [...aesKey, attribute(CKA.CKA_TOKEN, false)],
        }),
        request('wrapKey', { wrappingKey: partner, handle: key, mechanism: wrapping, roomBytes: 1000 }),
        request('wrapKey', { wrappingKey: key, handle: partner, mechanism: wrapping, roomBytes: 1000 }),
        request('wrapKey', { wrappingKey: key, handle: key, mechanism: wrapping, roomBytes: 1000 }),
        request('wrapHostKey', { handle: key, mechanism: wrapping, input }),
        request('unwrapHostKey', { handle: key, mechanism: wrapping, input: wrapped }),
      ],
    } as const;
  }

  const send = ([name, request]: readonly [CommandName, unknown]) => owner.send(name, request as never);

  it('is used and managed with an approved token for it and for that, once each', async () => {
    const rows = await commandsOn(handle, free);
    for (const service of ['key-usage', 'key-management'] as const) {
      const otherService = service === 'key-usage' ? 'key-management' : 'key-usage';
      await approvedToken(owner, otherService, handle, keys);
      for (const row of rows[service]) {
        const [name] = row;
        expect(await codeOf(() => send(row)), `${name} without`).to.equal(REFUSED);
        await approvedToken(owner, service, handle, keys);
        const answer = await codeOf(() => send(row));
        // What another key wrapped does not open: the command came to be tried, which is what is looked at.
        expect(answer, `${name} with`).to.be.oneOf(['CKR_OK', 'CKR_WRAPPED_KEY_INVALID']);
        if (answer !== 'CKR_OK') await owner.send('deleteTokens', { scope: 'user' });
        else expect(await codeOf(() => send(row)), `${name} again`).to.equal(REFUSED);
      }
      await owner.send('deleteTokens', { scope: 'user' });
    }
  });

  it('is refused to programs at C_…Init already, which looks for a token and leaves it', async () => {
    const describe = { handle, use: 'sign', mechanism: mac.type, keyTypes: [CKK.CKK_AES] } as const;
    expect(await codeOf(() => owner.send('describeKey', describe))).to.equal(REFUSED);
    await approvedToken(owner, 'key-usage', handle, keys);
    for (let twice = 0; twice < 2; twice++)
      expect(await codeOf(() => owner.send('describeKey', describe))).to.equal('CKR_OK');
    const signed = { handle, mechanism: plain(CKM.CKM_AES_CMAC), input };
    expect(await codeOf(() => owner.send('sign', signed))).to.equal('CKR_OK');
    expect(await codeOf(() => owner.send('describeKey', describe))).to.equal(REFUSED);
  });

  it('wraps another key with a quorum with a token for each of the two', async () => {
    const second = await newQuorumKey(owner, { sharedWith: ['other_user'], quorum: twoOfTwo });
    const wrap = () =>
      owner.send('wrapKey', { wrappingKey: handle, handle: second, mechanism: wrapping, roomBytes: 1000 });
    await approvedToken(owner, 'key-management', handle, keys);
    expect(await codeOf(wrap)).to.equal(REFUSED);
    await approvedToken(owner, 'key-management', second, keys);
    expect(await codeOf(wrap)).to.equal('CKR_OK');
    expect(await owner.send('listTokens', undefined)).to.deep.equal([]);
  });

  it('derives nothing without one', async () => {
    const base = await owner.send('generateKey', {
      mechanism: CKM.CKM_GENERIC_SECRET_KEY_GEN,
      template: [
        attribute(CKA.CKA_TOKEN, true),
        attribute(CKA.CKA_VALUE_LEN, 32),
        attribute(CKA.CKA_DERIVE, true),
        attribute(CKA.CKA_VERIFY, true),
      ],
      access: { sharedWith: ['other_user'], quorum: twoOfTwo },
    });
    await owner.send('insertMaskedObject', { masked: base.masked! });
    const derive = {
      handle: base.handle,
      mechanism: plain(CKM.CKM_CLOUDHSM_SP800_108_COUNTER_KDF),
      template: aesKey,
    };
    expect(await codeOf(() => owner.send('deriveKey', derive))).to.equal(REFUSED);
    const verify = { handle: base.handle, mechanism: mac, input, signature: input };
    expect(await codeOf(() => owner.send('verify', verify))).to.equal(REFUSED);
  });

  it('is read, found, masked and deleted without one: no approval is documented for that', async () => {
    expect(await codeOf(() => owner.send('getAttributes', { handle, types: [CKA.CKA_LABEL] }))).to.equal(
      'CKR_OK',
    );
    expect(await owner.send('findObjects', { template: [] })).to.include(handle);
    expect(await codeOf(() => owner.send('extractMaskedObject', { handle }))).to.equal('CKR_OK');
    expect(await codeOf(() => owner.send('destroyObject', { handle }))).to.equal('CKR_OK');
  });

  it('has no copy without its quorum, and does not show what it is made of', async () => {
    const readable = await newQuorumKey(owner, { sharedWith: ['other_user'], quorum: twoOfTwo }, [
      attribute(CKA.CKA_SENSITIVE, false),
    ]);
    expect(await owner.send('getAttributes', { handle: readable, types: [CKA.CKA_VALUE] })).to.deep.equal([
      'sensitive',
    ]);
    expect(await codeOf(() => owner.send('copyObject', { handle, template: [] }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    const masked = Buffer.from(await owner.send('extractMaskedObject', { handle }));
    const copy = await owner.send('copyMaskedObject', { masked });
    await owner.send('insertMaskedObject', { masked: copy.masked! });
    const info = await other.send('getKeyInfo', { handle: copy.handle });
    expect(info.quorum).to.deep.equal(twoOfTwo);
  });

  it('is made with values that its users can reach, 0 to 8, and keeps so many users', async () => {
    const make = (sharedWith: readonly string[], manage: number, use: number, more: Template = []) =>
      codeOf(() => newQuorumKey(owner, { sharedWith, quorum: { manage, use } }, more));
    const both = ['other_user'];
    expect(await make(both, 3, 2)).to.equal('CKR_ARGUMENTS_BAD');
    expect(await make(both, 2, 9)).to.equal('CKR_ARGUMENTS_BAD');
    expect(await make([], 0, 2)).to.equal('CKR_ARGUMENTS_BAD');
    expect(await make([...both, ...both, 'OTHER_USER'], 3, 3), 'one user is one').to.equal(
      'CKR_ARGUMENTS_BAD',
    );
    expect(await make(['nobody'], 2, 2)).to.equal('CKR_ACTION_PROHIBITED');
    expect(await make(['admin'], 2, 2)).to.equal('CKR_ACTION_PROHIBITED');
    expect(await make(both, 2, 2, [attribute(CKA.CKA_TOKEN, false)])).to.not.equal('CKR_OK');
    for (const [manage, use] of [
      [0, 0],
      [0, 2],
      [1, 1],
    ] as const)
      expect(await make(both, manage, use)).to.equal('CKR_OK');
    const unshare = { handle, user: 'other_user' };
    await approvedToken(owner, 'key-management', handle, keys);
    expect(await codeOf(() => owner.send('unshareKey', unshare))).to.equal('CKR_ACTION_PROHIBITED');
  });

  it('guards with each of its two values what that is for; 1 is nobody but who does it', async () => {
    const managed = await newQuorumKey(owner, { sharedWith: ['other_user'], quorum: { manage: 2, use: 1 } });
    const { 'key-usage': uses, 'key-management': managing } = await commandsOn(managed, free);
    for (const row of uses) expect(await codeOf(() => send(row)), row[0]).to.equal('CKR_OK');
    for (const row of managing) expect(await codeOf(() => send(row)), row[0]).to.equal(REFUSED);
    expect(await codeOf(() => owner.send('getToken', { service: 'key-usage', handle: managed }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
  });

  it('is approved by those whom it is of or shared with, and who have registered a key', async () => {
    await admin.send('createUser', { name: 'third', role: 'CU', password: PASSWORD });
    const third = await loggedIn(hsm, 'third', 'CU');
    const stranger = new OfficerKey();
    await registerKey(third, stranger);
    await registerKey(admin, stranger);
    const invalid: [string, OfficerKey][] = [
      ['third', stranger],
      ['admin', stranger],
      ['nobody', stranger],
      ['other_user', stranger],
    ];
    for (const [name, key] of invalid)
      expect(await codeOf(() => approvedToken(owner, 'key-usage', handle, { [name]: key })), name).to.equal(
        'CKR_SIGNATURE_INVALID',
      );
    expect(await codeOf(() => third.send('getToken', { service: 'key-usage', handle }))).to.equal(
      'CKR_KEY_HANDLE_INVALID',
    );
    // Who has it by sharing may use it, approved as the owner is.
    await approvedToken(other, 'key-usage', handle, keys);
    const use = { handle, mechanism: cbc, input };
    expect(await codeOf(() => owner.send('encrypt', use)), "another's token").to.equal(REFUSED);
    expect(await codeOf(() => other.send('encrypt', use))).to.equal('CKR_OK');
  });

  it('counts approvals of those only who could give them now', async () => {
    const use = { handle, mechanism: cbc, input };
    await approvedToken(owner, 'key-usage', handle, keys);
    // With the password goes the registration, and with it what was signed.
    await other.send('changePassword', { name: 'other_user', role: 'CU', password: PASSWORD });
    expect(await codeOf(() => owner.send('encrypt', use))).to.equal(REFUSED);
    const rotated = new OfficerKey();
    await registerKey(other, rotated);
    expect(await codeOf(() => owner.send('encrypt', use)), 'with another key').to.equal(REFUSED);
    await registerKey(other, keys.other_user);
    expect(await codeOf(() => owner.send('encrypt', use))).to.equal('CKR_OK');
    await approvedToken(owner, 'key-usage', handle, keys);
    other.close();
    await admin.send('deleteUser', { name: 'other_user', role: 'CU' });
    expect(await codeOf(() => owner.send('encrypt', use)), 'of one who is gone').to.equal(REFUSED);
  });

  it('may have several tokens at a time, which live 600 seconds and no longer than the login', async () => {
    const use = { handle, mechanism: cbc, input };
    const [token] = [await owner.send('getToken', { service: 'key-usage', handle })];
    // Reference management-tools, section 6.7: "2 in the key sample", 5 key-usage, the handle.
    expect([token.record.readUInt16BE(0), token.record.readUInt16BE(2)]).to.deep.equal([2, 5]);
    expect(token.record.readBigUInt64BE(8)).to.equal(BigInt(handle));
    for (let twice = 0; twice < 2; twice++) await approvedToken(owner, 'key-usage', handle, keys);
    expect(await owner.send('listTokens', undefined)).to.have.length(3);
    for (let twice = 0; twice < 2; twice++)
      expect(await codeOf(() => owner.send('encrypt', use))).to.equal('CKR_OK');
    expect(await codeOf(() => owner.send('encrypt', use)), 'the third has no approvals').to.equal(REFUSED);
    await approvedToken(owner, 'key-usage', handle, keys);
    nowMs += 600_000;
    expect(await codeOf(() => owner.send('encrypt', use))).to.equal(REFUSED);
    await approvedToken(owner, 'key-usage', handle, keys);
    await owner.send('logout', undefined);
    await owner.send('login', { name: 'crypto_user', role: 'CU', password: PASSWORD });
    expect(await codeOf(() => owner.send('encrypt', use))).to.equal(REFUSED);
  });

  it('keeps the token when the command fails, and not the tokens of a key that is gone', async () => {
    await approvedToken(owner, 'key-management', handle, keys);
    const set = (value: string | boolean, type: number = CKA.CKA_LABEL) =>
      codeOf(() => owner.send('setKeyAttribute', { handle, attribute: attribute(type, value) }));
    expect(await set(true, CKA.CKA_LOCAL)).to.equal('CKR_ATTRIBUTE_READ_ONLY');
    expect(await set('x')).to.equal('CKR_OK');
    await approvedToken(owner, 'key-management', handle, keys);
    await owner.send('destroyObject', { handle });
    expect(await admin.send('listTokens', undefined)).to.deep.equal([]);
  });

  it('has tokens that are listed to whom the key is there for, and deleted by their holder', async () => {
    await admin.send('createUser', { name: 'third', role: 'CU', password: PASSWORD });
    const third = await loggedIn(hsm, 'third', 'CU');
    const approvalData = await approvedToken(owner, 'key-usage', handle, { other_user: keys.other_user });
    const [listed] = await other.send('listTokens', undefined);
    expect(listed).to.deep.include({
      service: 'key-usage',
      key: handle,
      user: 'crypto_user',
      required: 2,
      approvers: ['other_user'],
    });
    expect(await admin.send('listTokens', undefined)).to.have.length(1);
    expect(await third.send('listTokens', undefined)).to.deep.equal([]);
    expect(await codeOf(() => third.send('deleteTokens', { scope: 'all' }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    for (const scope of ['user', 'these'] as const) await third.send('deleteTokens', { scope, approvalData });
    expect(await owner.send('listTokens', undefined)).to.have.length(1);
    await owner.send('deleteTokens', { scope: 'these', approvalData });
    expect(await owner.send('listTokens', undefined)).to.deep.equal([]);
  });

  it('is trusted by an admin with approvals of its users', async () => {
    const trust = () =>
      admin.send('setKeyAttribute', { handle, attribute: attribute(CKA.CKA_TRUSTED, true) });
    expect(await codeOf(trust)).to.equal(REFUSED);
    await approvedToken(admin, 'key-management', handle, keys);
    expect(await codeOf(trust)).to.equal('CKR_OK');
    for (const attempt of [
      () => admin.send('getToken', { service: 'key-usage', handle }),
      () => owner.send('getToken', { service: 'user' }),
    ])
      expect(await codeOf(attempt)).to.equal('CKR_ACTION_PROHIBITED');
    expect(await codeOf(() => owner.send('getToken', { service: 'key-usage' }))).to.equal(
      'CKR_ARGUMENTS_BAD',
    );
  });

  it('leaves records of tokens and refusals in the audit log', async () => {
    await approvedToken(owner, 'key-management', handle, keys);
    await owner.send('deleteTokens', { scope: 'user' });
    await codeOf(() => owner.send('shareKey', { handle, user: 'other_user' }));
    await hsm.audit.close();
    const records = hsm.audit
      .read(0, 1000)
      .slice(-4)
      .map(({ opcode, response }) => [opcode, response]);
    expect(records).to.deep.equal([
      ['CN_GET_TOKEN', 'SUCCESS'],
      ['CN_APPROVE_TOKEN', 'SUCCESS'],
      ['CN_DELETE_TOKEN', 'SUCCESS'],
      ['CN_SHARE_OBJECT', 'QUORUM_FAILED'],
    ]);
  });
});
