import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import { Hsm } from '../../src/hsm/hsm.js';
import { newMaskingKey } from '../../src/hsm/masking.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { backupOfHsm, newBackupKeys, restoredHsm, settingsOf } from '../support/backups.js';
import { PASSWORD } from '../support/in-process.js';
import { authorityBelow, TestAuthority } from '../support/tls.js';

describe('trust anchors of an HSM', () => {
  it('are in its backups, and so is their enforcement: an HSM that joins lets in nobody whom the others do not', async () => {
    const options = { backupKeys: newBackupKeys() };
    const store = openMemoryStore();
    const users = [{ name: 'admin', role: 'CO', passwordHash: await hashNewPassword(PASSWORD) }] as const;
    await Hsm.provision(store, { maskingKey: newMaskingKey(), users });
    const hsm = await Hsm.open(store, settingsOf(options), silentLog);
    const { chain } = await authorityBelow();
    const { trustAnchor } = (await TestAuthority.make()).authority;
    const write = (changes: Parameters<typeof store.write>[0]) => store.write(changes);
    await Promise.all([chain, trustAnchor].map((anchor) => hsm.mutualTls.register(anchor, write)));
    await hsm.mutualTls.enforce('cluster', write);

    const copy = await restoredHsm(await backupOfHsm(hsm), options);
    expect(copy.mutualTls.level).to.equal('cluster');
    expect(copy.mutualTls.anchors).to.deep.equal(hsm.mutualTls.anchors);
    expect(copy.mutualTls.anchors.map(({ reference }) => reference)).to.deep.equal([1, 2]);
    expect(() => copy.connect()).to.throw('enforces mutual TLS');
  });
});
