import { expect } from 'chai';
import { newId } from '../../src/control-plane/state/ids.js';
import type { Realm } from '../../src/control-plane/state/records.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { realm, TestedControlPlane } from '../support/control-plane.js';
import { HostedControlPlane } from '../support/hosted-control-plane.js';
import { loggedIn, PASSWORD } from '../support/in-process.js';

const elsewhere: Realm = { ...realm, region: 'us-west-2' };
const aes = [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, true),
  attribute(CKA.CKA_ENCRYPT, true),
];
const input = Buffer.from('sixteen bytes ok');

/** A new key: on the HSM, as it travels, and what it makes of the input. */
async function newKey(hsm: Hsm) {
  const user = await loggedIn(hsm, 'crypto_user', 'CU');
  const { handle, masked } = await user.send('generateKey', {
    mechanism: CKM.CKM_AES_KEY_GEN,
    template: aes,
  });
  await user.send('insertMaskedObject', { masked: masked! });
  user.close();
  return { handle, masked: masked!, output: await encrypted(hsm, handle) };
}

async function encrypted(hsm: Hsm, handle: number): Promise<string> {
  const user = await loggedIn(hsm, 'crypto_user', 'CU');
  const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
  const output = await user.send('encrypt', { handle, mechanism, input });
  user.close();
  return (output as Buffer).toString('hex');
}

async function inserts(hsm: Hsm, masked: Buffer): Promise<string> {
  const user = await loggedIn(hsm, 'crypto_user', 'CU');
  const code = await codeOf(() => user.send('insertMaskedObject', { masked }));
  user.close();
  return code;
}

/** Points of the reference's acceptance list (section 15) that concern what HSMs keep, on HSMs that work. */
describe('the acceptance list', () => {
  let api: HostedControlPlane;
  let id: string;

  beforeEach(async () => {
    api = await new HostedControlPlane().open();
    id = await api.usedCluster(2);
  });
  afterEach(() => api.close());

  it('5: when all HSMs were deleted, the next one has keys, users, passwords, masking key and certificate', async () => {
    const [first] = api.clusterOf(id).hsms;
    const kept = await newKey(first!);
    const before = await api.cluster(id);
    // The one that has it all goes first.
    for (const HsmId of [first!.settings.id, api.clusterOf(id).hsms[1]!.settings.id])
      await api.call('DeleteHsm', { ClusterId: id, HsmId });
    await api.settle();
    expect(await api.cluster(id)).to.deep.include({ State: 'ACTIVE', Hsms: [] });
    await api.newHsm(id, 'b');
    await api.settle();
    expect((await api.cluster(id)).Certificates).to.deep.equal(before.Certificates);
    const [restored] = api.clusterOf(id).hsms;
    expect(await encrypted(restored!, kept.handle)).to.equal(kept.output);
    expect(await inserts(restored!, kept.masked), 'the masking key').to.equal('CKR_OK');
    for (const [name, role, password] of [
      ['admin', 'CO', PASSWORD],
      ['other_user', 'CU', PASSWORD],
    ] as const)
      expect(await codeOf(() => loggedIn(restored!, name, role, password))).to.equal('CKR_OK');
    expect(await codeOf(() => loggedIn(restored!, 'crypto_user', 'CU', 'a wrong one'))).to.equal(
      'CKR_PIN_INCORRECT',
    );
  });

  it('6: a copy of a backup makes a cluster of another region with the same keys, which takes masked objects, as no other does', async () => {
    const [original] = api.clusterOf(id).hsms;
    const kept = await newKey(original!);
    await api.newHsm(id, 'b');
    await api.settle();
    const [{ BackupId }] = (await api.backups(id)) as [{ BackupId: string }];
    await api.call('CopyBackupToRegion', { BackupId, DestinationRegion: elsewhere.region });
    await api.settle();
    const { Backups } = await api.call(
      'DescribeBackups',
      { Filters: { sourceBackupIds: [BackupId] } },
      elsewhere,
    );
    const clone = await api.newCluster({ SourceBackupId: Backups![0]!.BackupId }, elsewhere);
    const { AvailabilityZone } = await api
      .call(
        'CreateHsm',
        {
          ClusterId: clone,
          AvailabilityZone: Object.keys((await api.cluster(clone, elsewhere)).SubnetMapping!)[0]!,
        },
        elsewhere,
      )
      .then(({ Hsm: made }) => made!);
    expect(AvailabilityZone).to.match(/^us-west-2/);
    await api.settle();
    const [cloned] = api.clusterOf(clone).hsms;
    expect(await encrypted(cloned!, kept.handle)).to.equal(kept.output);
    // Made after the backup, on the original only.
    const late = await newKey(original!);
    expect(await inserts(cloned!, late.masked)).to.equal('CKR_OK');
    expect(await encrypted(cloned!, late.handle)).to.equal(late.output);
    const [stranger] = api.clusterOf(await api.usedCluster(1)).hsms;
    expect(await inserts(stranger!, late.masked)).to.equal('CKR_FUNCTION_FAILED');
  });
});

describe('the acceptance list, with many backups', () => {
  it('10: pages show each of 1,000 backups once, however many are deleted meanwhile', async () => {
    const api = await new TestedControlPlane().open();
    const { id } = await api.activeCluster();
    const { catalogue } = api.controlPlane.context;
    const [first] = catalogue.all('backup');
    await catalogue.transaction((tx) => {
      // Three at a time of one millisecond: their order is by id then.
      for (let count = 1; count < 1000; count++)
        tx.put('backup', {
          ...first!,
          id: newId('backup'),
          createdMs: first!.createdMs + Math.floor(count / 3),
        });
    });
    const all = new Set(catalogue.all('backup').map(({ id: one }) => one));
    const seen: string[] = [];
    const gone = new Set<string>();
    let NextToken: string | undefined;
    do {
      const page = await api.call('DescribeBackups', {
        MaxResults: 50,
        NextToken,
        Filters: { clusterIds: [id] },
      });
      const ids = page.Backups!.map(({ BackupId }) => BackupId);
      seen.push(...ids);
      const ahead = [...all].find((one) => !seen.includes(one));
      const removed = [ids[0]!, ids.at(-1)!, ...(ahead === undefined ? [] : [ahead])];
      await catalogue.transaction((tx) => {
        for (const one of removed) tx.remove('backup', one);
      });
      for (const one of removed) gone.add(one);
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    expect(new Set(seen).size).to.equal(seen.length);
    for (const one of all) expect(seen.includes(one) || gone.has(one), one).to.equal(true);
    await api.controlPlane.close();
  });
});
