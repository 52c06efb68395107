import { expect } from 'chai';
import { Hsm } from '../../src/hsm/hsm.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';

const alice = { name: 'alice', role: 'CU', password: PASSWORD } as const;

describe('users on their way between HSMs', () => {
  let template: Hsm;
  let passwordHash: string;

  before(async () => {
    template = (await memoryCluster({ hsms: 1 })).hsms[0]!;
    passwordHash = await hashNewPassword(PASSWORD);
  });

  /** An HSM with an admin and nobody else. */
  async function newHsm(maskingKey = Buffer.alloc(32, 3)): Promise<Hsm> {
    const store = openMemoryStore();
    const users = [{ name: 'admin', role: 'CO' as const, passwordHash }];
    await Hsm.provision(store, { maskingKey: Buffer.from(maskingKey), users });
    return Hsm.open(store, template.settings, template.log);
  }

  it('arrive with their id and their password, and the id is used up', async () => {
    const [from, to] = [await newHsm(), await newHsm()];
    const [source, target] = [await loggedIn(from, 'admin', 'CO'), await loggedIn(to, 'admin', 'CO')];
    await source.send('createUser', { name: 'first', role: 'CU', password: PASSWORD });
    const { id } = await source.send('createUser', alice);
    const masked = await source.send('extractMaskedUser', alice);
    await target.send('insertMaskedUser', { masked });
    expect((await target.send('getUserInfo', alice)).id).to.equal(id);
    (await loggedIn(to, 'alice', 'CU')).close();
    expect((await target.send('createUser', { ...alice, name: 'next' })).id).to.equal(id + 1);
    // Again: the same user is there already.
    await target.send('insertMaskedUser', { masked });
  });

  it('do not take the place of another user', async () => {
    const [from, to] = [await newHsm(), await newHsm()];
    const [source, target] = [await loggedIn(from, 'admin', 'CO'), await loggedIn(to, 'admin', 'CO')];
    await source.send('createUser', alice);
    const masked = await source.send('extractMaskedUser', alice);
    await target.send('createUser', { ...alice, name: 'bob' });
    expect(await codeOf(() => target.send('insertMaskedUser', { masked })), 'same id').to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    await target.send('deleteUser', { name: 'bob', role: 'CU' });
    await target.send('createUser', { ...alice, password: 'another password' });
    expect(await codeOf(() => target.send('insertMaskedUser', { masked })), 'same name').to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    expect((await target.send('listUsers', undefined)).map(({ name }) => name)).to.deep.equal([
      'admin',
      'app_user',
      'alice',
    ]);
  });

  it('are refused under another masking key, cut, changed, or as a masked object', async () => {
    const [from, to, other] = [await newHsm(), await newHsm(), await newHsm(Buffer.alloc(32, 4))];
    const source = await loggedIn(from, 'admin', 'CO');
    await source.send('createUser', alice);
    const masked = await source.send('extractMaskedUser', alice);
    const stranger = await loggedIn(other, 'admin', 'CO');
    expect(await codeOf(() => stranger.send('insertMaskedUser', { masked }))).to.equal('CKR_FUNCTION_FAILED');
    const target = await loggedIn(to, 'admin', 'CO');
    const changed = Buffer.from(masked);
    changed[changed.length - 20]! ^= 1;
    for (const bad of [Buffer.alloc(0), masked.subarray(0, -1), changed])
      expect(await codeOf(() => target.send('insertMaskedUser', { masked: bad }))).to.equal(
        'CKR_FUNCTION_FAILED',
      );
    expect(await codeOf(() => target.send('insertMaskedObject', { masked }))).to.equal('CKR_FUNCTION_FAILED');
  });

  it('are COs and CUs only, and need a quorum where creating one does', async () => {
    const hsm = await newHsm();
    const admin = await loggedIn(hsm, 'admin', 'CO');
    expect(await codeOf(() => admin.send('extractMaskedUser', { name: 'app_user', role: 'AU' }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    expect(await codeOf(() => admin.send('extractMaskedUser', { name: 'nobody', role: 'CU' }))).to.equal(
      'CKR_USER_TYPE_INVALID',
    );
    await admin.send('createUser', alice);
    await admin.send('createUser', { ...alice, name: 'second', role: 'CO' });
    const masked = await admin.send('extractMaskedUser', alice);
    await admin.send('deleteUser', alice);
    await admin.send('setQuorumValue', { service: 'user', value: 2 });
    expect(await codeOf(() => admin.send('insertMaskedUser', { masked }))).to.equal('CKR_FUNCTION_REJECTED');
  });
});
