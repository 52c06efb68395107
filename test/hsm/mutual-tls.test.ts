import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import { parseCertificate } from '../../src/crypto/index.js';
import { Hsm, type HsmConnection } from '../../src/hsm/hsm.js';
import { newMaskingKey } from '../../src/hsm/masking.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { backupOfHsm, newBackupKeys, restoredHsm, settingsOf } from '../support/backups.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
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

  it('end whoever does not come by them before their enforcement is answered, and the admin who takes away his own behind the answer', async () => {
    const [hsm] = (await memoryCluster({ hsms: 1 })).hsms as [Hsm];
    const authorities = await Promise.all([TestAuthority.make('one'), TestAuthority.make('two')]);
    const admin = async (authority: TestAuthority) => {
      const { certificate } = await authority.identity('client');
      const connection = hsm.connect({ presented: [parseCertificate(certificate).der] });
      await connection.send('login', { name: 'admin', role: 'CO', password: PASSWORD });
      return connection;
    };
    const [first, second] = await Promise.all(authorities.map(admin));
    for (const { authority } of authorities)
      await first!.send('registerTrustAnchor', { certificate: authority.trustAnchor });
    const plain = hsm.connect();
    const served = async (connection: HsmConnection) => {
      const code = await codeOf(() => connection.send('listTrustAnchors', undefined));
      return code === 'CKR_OK';
    };
    await first!.send('setMtlsEnforcement', { level: 'cluster' });
    expect(await served(plain)).to.equal(false);
    expect(await served(second!)).to.equal(true);

    await first!.send('deregisterTrustAnchor', { reference: 2 });
    expect(await served(second!)).to.equal(false);
    const third = await admin(authorities[0]!);
    await third.send('registerTrustAnchor', { certificate: authorities[1]!.authority.trustAnchor });
    await third.send('deregisterTrustAnchor', { reference: 1 });
    await setImmediate();
    expect(await served(third)).to.equal(false);
    expect(await served(await admin(authorities[1]!))).to.equal(true);
  });
});
