import { expect } from 'chai';
import type { BackupKeys } from '../../src/backup/keys.js';
import { hmac, importSecretKey, randomBytes } from '../../src/crypto/index.js';
import { opcodes } from '../../src/hsm/audit/opcodes.js';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { backupOfHsm, CLUSTER, newBackupKeys, newHsm, restoredHsm } from '../support/backups.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, PASSWORD } from '../support/in-process.js';
import { OfficerKey } from '../support/officers.js';

const template = (label: string, token = true): Template => [
  attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
  attribute(CKA.CKA_KEY_TYPE, CKK.CKK_GENERIC_SECRET),
  attribute(CKA.CKA_TOKEN, token),
  attribute(CKA.CKA_SIGN, true),
  attribute(CKA.CKA_LABEL, label),
];

/** A token key of the user of a connection, through the HSM alone. */
async function newKey(
  connection: HsmConnection,
  label: string,
  value: Buffer = randomBytes(32),
): Promise<number> {
  const withValue = [...template(label), attribute(CKA.CKA_VALUE, value)];
  const { masked, handle } = await connection.send('createObject', { template: withValue });
  await connection.send('insertMaskedObject', { masked: masked! });
  return handle;
}

const find = (connection: HsmConnection, label: string): number[] | Promise<number[]> =>
  connection.send('findObjects', { template: [attribute(CKA.CKA_LABEL, label)] }) as number[];

const opcodesOf = (hsm: Hsm): string[] => hsm.audit.read(0, 1000).map(({ opcode }) => opcode);

describe("an HSM's backup", () => {
  let backupKeys: BackupKeys;
  let hsm: Hsm;
  let user: HsmConnection;

  beforeEach(async () => {
    backupKeys = newBackupKeys();
    hsm = await newHsm({ backupKeys });
    user = await loggedIn(hsm, 'crypto_user', 'CU');
  });

  it('brings back users, keys, shares, settings and the masking key', async () => {
    const value = randomBytes(32);
    const handle = await newKey(user, 'mine', value);
    const gone = await newKey(user, 'gone');
    const admin = await loggedIn(hsm, 'admin', 'CO');
    await admin.send('createUser', { name: 'late', role: 'CU', password: PASSWORD });
    await user.send('shareKey', { handle, user: 'other_user' });
    const { masked: copyOfGone } = { masked: await user.send('extractMaskedObject', { handle: gone }) };
    await user.send('destroyObject', { handle: gone });
    await admin.send('setQuorumValue', { service: 'user', value: 2 });
    await admin.send('setTokenTimeouts', { generated: 900 });
    for (let guess = 0; guess < 6; guess++)
      await codeOf(() => loggedIn(hsm, 'late', 'CU', 'not the password'));

    const copy = await restoredHsm(await backupOfHsm(hsm), { backupKeys });
    expect(copy.users.list()).to.deep.equal(hsm.users.list());
    expect(copy.users.info('late')?.locked).to.equal(true);
    expect(copy.quorum.values).to.deep.equal(hsm.quorum.values);
    expect(copy.quorum.timeouts).to.deep.equal({ generated: 900, approved: 600 });
    expect(copy.objects.versions.digests()).to.deep.equal(hsm.objects.versions.digests());
    const [again, other] = [
      await loggedIn(copy, 'crypto_user', 'CU'),
      await loggedIn(copy, 'other_user', 'CU'),
    ];
    const mechanism = { type: CKM.CKM_SHA256_HMAC, parameter: undefined };
    const expected = hmac('sha256', importSecretKey(value), Buffer.from('data'));
    for (const connection of [again, other])
      expect(await connection.send('sign', { handle, mechanism, input: Buffer.from('data') })).to.deep.equal(
        expected,
      );
    expect(await find(again, 'mine')).to.deep.equal([handle]);
    // What was destroyed stays so, and what one HSM masked the other takes.
    expect(await codeOf(() => again.send('insertMaskedObject', { masked: copyOfGone }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    const later = await newKey(user, 'later');
    await again.send('insertMaskedObject', {
      masked: await user.send('extractMaskedObject', { handle: later }),
    });
    expect(await find(again, 'later')).to.deep.equal([later]);
  });

  it('brings back second factors and the ids that users are given next', async () => {
    const key = new OfficerKey();
    const admin = await loggedIn(hsm, 'admin', 'CO');
    const challenge = await admin.send('getChallenge', undefined);
    const secondFactor = { publicKey: key.publicKey, signature: key.signDigest(challenge) };
    await admin.send('changeSecondFactor', { name: 'admin', role: 'CO', secondFactor });
    const copy = await restoredHsm(await backupOfHsm(hsm), { backupKeys });
    expect(await codeOf(() => loggedIn(copy, 'admin', 'CO'))).to.equal('CKR_PIN_INCORRECT');
    const officer = await loggedIn(copy, 'second_officer', 'CO');
    const next = await officer.send('createUser', { name: 'next', role: 'CU', password: PASSWORD });
    expect(next).to.deep.equal(
      await (await loggedIn(hsm, 'second_officer', 'CO')).send('createUser', {
        name: 'next',
        role: 'CU',
        password: PASSWORD,
      }),
    );
  });

  it('has no session keys', async () => {
    const { handle } = await user.send('createObject', {
      template: [...template('for now', false), attribute(CKA.CKA_VALUE, randomBytes(32))],
    });
    await newKey(user, 'for ever');
    const copy = await restoredHsm(await backupOfHsm(hsm), { backupKeys });
    const again = await loggedIn(copy, 'crypto_user', 'CU');
    expect(await find(user, 'for now')).to.deep.equal([handle]);
    expect(await find(again, 'for now')).to.deep.equal([]);
    expect(await find(again, 'for ever')).to.have.length(1);
  });

  it('is of one moment, whatever happens while it is made', async () => {
    const before: number[] = [];
    for (let count = 0; count < 40; count++) before.push(await newKey(user, `before ${count}`));
    const pieces: Buffer[] = [];
    for await (const piece of hsm.backUp(CLUSTER)) {
      if (pieces.length === 0) {
        for (const handle of before.slice(0, 20)) await user.send('destroyObject', { handle });
        await newKey(user, 'after');
      }
      pieces.push(piece);
    }
    const copy = await restoredHsm(Buffer.concat(pieces), { backupKeys });
    const again = await loggedIn(copy, 'crypto_user', 'CU');
    expect(await again.send('findObjects', { template: [] })).to.deep.equal(before);
  });

  it('is logged by the HSM that makes it and by the one that restores it', async () => {
    const log = opcodesOf(hsm);
    const backup = await backupOfHsm(hsm);
    expect(opcodesOf(hsm).slice(log.length)).to.deep.equal(['CN_BACKUP_BEGIN', 'CN_BACKUP_END']);
    const copy = await restoredHsm(backup, { backupKeys });
    expect(opcodesOf(copy)).to.deep.equal(['CN_RESTORE_BEGIN', 'CN_RESTORE_END']);
    expect((await copy.audit.verify()).problem).to.equal(undefined);
    expect(new Set(Object.values(opcodes)).size).to.equal(Object.keys(opcodes).length);
  });

  it('that was given up half way is logged as failed, and lets the store go on', async () => {
    for (let count = 0; count < 5; count++) await newKey(user, `key ${count}`);
    for await (const _ of hsm.backUp(CLUSTER)) break;
    const last = hsm.audit.read(0, 1000).at(-1);
    expect(last).to.include({ opcode: 'CN_BACKUP_END', response: 'FAILED' });
    await restoredHsm(await backupOfHsm(hsm), { backupKeys });
  });

  for (const fault of ['unreachable', 'tamper'] as const) {
    it(`is not made of an HSM with the fault ${fault}`, async () => {
      await hsm.fail(fault);
      expect(await codeOf(() => backupOfHsm(hsm))).to.equal('CKR_DEVICE_ERROR');
    });
  }

  it('gives no handle twice, neither on the HSM of the same place nor on another', async () => {
    const given = new Set<number>();
    for (let count = 0; count < 5; count++) given.add(await newKey(user, `key ${count}`));
    const destroyed = await newKey(user, 'destroyed');
    await user.send('destroyObject', { handle: destroyed });
    given.add(destroyed);
    const backup = await backupOfHsm(hsm);
    // Made after the backup: it does not know of them.
    for (let count = 0; count < 5; count++) given.add(await newKey(user, `later ${count}`));
    for (const ordinal of [1, 2, 1]) {
      const copy = await restoredHsm(backup, { backupKeys, ordinal });
      const again = await loggedIn(copy, 'crypto_user', 'CU');
      const fresh = await newKey(again, 'fresh');
      expect(given.has(fresh), `${fresh}`).to.equal(false);
      given.add(fresh);
    }
  });

  it('is only restored where nothing is', async () => {
    const backup = await backupOfHsm(hsm);
    const store = openMemoryStore();
    const copy = await restoredHsm(backup, { backupKeys }, store);
    const again = await restoredHsm(backup, { backupKeys }, store).catch((error: Error) => error.message);
    expect(again).to.match(/has content/);
    expect(copy.users.count()).to.equal(hsm.users.count());
  });

  it('case 21: shows nothing of keys, labels, users and passwords, and neither does any log', async () => {
    const canaries = {
      'key bytes': randomBytes(32),
      label: Buffer.from('canary-label-5f1c'),
      user: Buffer.from('canary_user_77'),
      password: Buffer.from('canary password 9b'),
      'installed user': Buffer.from('crypto_user'),
    };
    const admin = await loggedIn(hsm, 'admin', 'CO');
    const name = canaries.user.toString();
    const password = canaries.password.toString();
    await admin.send('createUser', { name, role: 'CU', password });
    const canary = await loggedIn(hsm, name, 'CU', password);
    await newKey(canary, canaries.label.toString(), canaries['key bytes']);
    const lines: string[] = [];
    const write = (...words: unknown[]): void => void lines.push(JSON.stringify(words));
    const log = { error: write, warn: write, info: write, debug: write, isLevelEnabled: () => true };
    const backup = await backupOfHsm(hsm);
    const damaged = Buffer.from(backup);
    damaged[damaged.length - 1]! ^= 1;
    await restoredHsm(damaged, { backupKeys }, openMemoryStore(), log).catch(() => undefined);
    await restoredHsm(backup, { backupKeys }, openMemoryStore(), log);
    const leaving = Buffer.concat([backup, Buffer.from(lines.join('\n'))]);
    expect(lines).to.have.length(1);
    for (const [what, bytes] of Object.entries(canaries))
      for (const form of [bytes, Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('base64'))])
        expect(leaving.includes(form), what).to.equal(false);
  });
});
