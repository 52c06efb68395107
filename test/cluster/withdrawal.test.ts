import { expect } from 'chai';
import { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, ulongBytes } from '../../src/pkcs11/template.js';
import { backupOfHsm, CLUSTER, newBackupKeys, newHsm, restoredHsm } from '../support/backups.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
const aes = [attribute(CKA.CKA_VALUE_LEN, 32), attribute(CKA.CKA_ENCRYPT, true)];

describe('a new token key that not every HSM took', () => {
  let cluster: Cluster;
  let client: ClusterClient;
  let first: Hsm;
  let second: Hsm;

  beforeEach(async () => {
    cluster = await memoryCluster({ hsms: 2 });
    [first, second] = cluster.hsms as [Hsm, Hsm];
    client = cluster.connect();
    await client.login('crypto_user', PASSWORD);
  });
  afterEach(() => client.close());

  const digests = (): string[] =>
    cluster.hsms.map(({ objects }) => objects.versions.digests().toString('hex'));
  const encrypt = async (handle: number): Promise<Buffer> =>
    client.send('encrypt', { handle, mechanism, input: Buffer.alloc(16) });

  it('is a session key still, whose promotion can be tried again as often as it takes', async () => {
    const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes);
    const expected = await encrypt(handle);
    const promote = () => client.setKeyAttribute(handle, attribute(CKA.CKA_TOKEN, true));
    for (let attempt = 1; attempt <= 3; attempt++) {
      await second.fail('full-disk');
      expect(await codeOf(promote)).to.equal('CKR_DEVICE_MEMORY');
      await second.heal();
      expect(cluster.hsms.map(({ objects }) => objects.count)).to.deep.equal([0, 0]);
      expect(await encrypt(handle)).to.deep.equal(expected);
    }
    expect(await codeOf(promote)).to.equal('CKR_OK');
    expect(cluster.hsms.map(({ objects }) => objects.count)).to.deep.equal([1, 1]);
    expect(await encrypt(handle)).to.deep.equal(expected);
    for (const hsm of cluster.hsms) await hsm.synchronize();
    const [one, other] = digests();
    expect(one).to.equal(other);
  });

  it('goes from an HSM that took it and was away when it was taken back, and not the next attempt', async () => {
    const template = [...aes, attribute(CKA.CKA_TOKEN, true)];
    const { object } = first.objects.get(await client.generateKey(CKM.CKM_AES_KEY_GEN, template))!;
    const handle = object.handle + 64;
    const attempt = (version: number) => ({
      ...object,
      handle,
      version,
      material: Buffer.from(object.material),
    });
    await first.objects.insert(attempt(1));
    await second.objects.insert(attempt(1));
    await second.objects.withdraw(handle);
    for (const hsm of cluster.hsms) await hsm.synchronize();
    for (const { objects } of cluster.hsms) expect(objects.get(handle)).to.equal(undefined);
    // An old copy does not bring it back.
    expect(await codeOf(() => first.objects.insert(attempt(1)))).to.equal('CKR_ACTION_PROHIBITED');
    await second.objects.insert(attempt(2));
    for (const hsm of cluster.hsms) await hsm.synchronize();
    for (const { objects } of cluster.hsms) expect(objects.get(handle)?.object.version).to.equal(2);
    expect(new Set(digests()).size).to.equal(1);
    await first.objects.bury(handle);
    for (const hsm of cluster.hsms) await hsm.synchronize();
    for (const { objects } of cluster.hsms) expect(objects.get(handle)).to.equal(undefined);
    expect(new Set(digests()).size).to.equal(1);
  });

  it('is withdrawn, or buried for good, whichever of the two an HSM hears of last', async () => {
    await first.objects.withdraw(6400, 1);
    await second.objects.bury(6400);
    for (const hsm of cluster.hsms) await hsm.synchronize();
    for (const { objects } of cluster.hsms) expect(objects.versions.isBuried(6400)).to.equal(true);
    expect(new Set(digests()).size).to.equal(1);
  });

  it('stays taken back when the HSM that knew of it is replaced by one with its backup', async () => {
    const backupKeys = newBackupKeys();
    const original = await newHsm({ backupKeys });
    const away = await restoredHsm(await backupOfHsm(original), { backupKeys, id: 'hsm-ccccccccccc' });
    const attributes = new Map([
      [CKA.CKA_CLASS, ulongBytes(CKO.CKO_SECRET_KEY)],
      [CKA.CKA_KEY_TYPE, ulongBytes(CKK.CKK_AES)],
      [CKA.CKA_TOKEN, Buffer.from([1])],
    ]);
    const key = () => ({
      handle: 6400,
      version: 1,
      owner: 'crypto_user',
      sharedWith: [],
      attributes,
      material: Buffer.alloc(32, 1),
    });
    for (const { objects } of [original, away]) await objects.insert(key());
    await original.objects.withdraw(6400);
    const successor = await restoredHsm(await backupOfHsm(original), { backupKeys, ordinal: 2 });
    expect(successor.objects.versions.find(6400)).to.deep.equal(original.objects.versions.find(6400));
    expect(await codeOf(() => successor.objects.insert(key()))).to.equal('CKR_ACTION_PROHIBITED');
    const pair = new Cluster({ id: CLUSTER, hsmType: 'hsm2m.medium', mode: 'FIPS' }, [successor, away]);
    await pair.keepSynchronised(60_000);
    for (const { objects } of pair.hsms) expect(objects.get(6400)).to.equal(undefined);
    await pair.close();
    await original.close();
  });
});
