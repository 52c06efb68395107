import { expect } from 'chai';
import { realm, subnets, TestedControlPlane } from '../support/control-plane.js';

const DAY_MS = 86_400_000;
const west = { ...realm, region: 'us-west-2' };

// Sections 5 and 8 of the reference on the control plane; times by a clock that stands still.
describe('backups', () => {
  let api: TestedControlPlane;

  beforeEach(async () => {
    api = await new TestedControlPlane().open();
  });
  afterEach(() => api.controlPlane.close());

  const states = async (clusterId: string): Promise<(string | undefined)[]> =>
    (await api.backups(clusterId)).map(({ BackupState }) => BackupState);

  it('are taken every 24 hours while an HSM is there', async () => {
    const { id, hsmId } = await api.activeCluster();
    await api.advance(3 * DAY_MS);
    expect(await states(id)).to.have.length(4);
    await api.call('DeleteHsm', { ClusterId: id, HsmId: hsmId });
    await api.advance(3 * DAY_MS);
    expect(await states(id)).to.have.length(5);
  });

  it('do not pile up while the archive is away, and the one that waits has what is there when it is taken', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.archive.failing = 'the archive is away';
    await api.advance(5 * DAY_MS);
    expect(await states(id)).to.deep.equal(['CREATE_IN_PROGRESS', 'READY']);
    api.hsms.running.get(hsmId)!.content.push('of the fifth day');
    api.archive.failing = undefined;
    await api.advance(120_000);
    expect(await states(id)).to.deep.equal(['READY', 'READY']);
    const [{ BackupId }] = (await api.backups(id)) as [{ BackupId: string }];
    const kept = api.archive.kept.get(`${realm.account}/${realm.region}/${BackupId}`)!;
    expect(kept.toString()).to.contain('of the fifth day');
  });

  it('older than the policy go, but for the last one and those that never expire', async () => {
    const { id, hsmId } = await api.activeCluster();
    await api.call('ModifyCluster', { ClusterId: id, BackupRetentionPolicy: { Type: 'DAYS', Value: '7' } });
    const [kept] = await api.backups(id);
    await api.call('ModifyBackupAttributes', { BackupId: kept!.BackupId, NeverExpires: true });
    await api.call('DeleteHsm', { ClusterId: id, HsmId: hsmId });
    await api.settle();
    const { HsmId } = await api.newHsm(id);
    await api.call('DeleteHsm', { ClusterId: id, HsmId });
    await api.settle();
    expect(await states(id)).to.deep.equal(['READY', 'READY', 'READY']);
    await api.advance(7 * DAY_MS + 10);
    const [newest, middle, oldest] = await api.backups(id);
    expect(newest!.BackupState).to.equal('READY');
    expect(middle!.BackupState).to.equal('PENDING_DELETION');
    expect(oldest).to.include({ BackupId: kept!.BackupId, BackupState: 'READY', NeverExpires: true });
    await api.advance(30 * DAY_MS);
    expect(await states(id)).to.deep.equal(['READY', 'READY']);
    expect(api.archive.kept.size).to.equal(2);
  });

  it('can be restored for exactly seven days after they were deleted', async () => {
    const { id } = await api.activeCluster();
    const [{ BackupId }] = (await api.backups(id)) as [{ BackupId: string }];
    await api.refused(api.call('RestoreBackup', { BackupId }), 'PENDING_DELETION');
    const deletedMs = api.time.nowMs();
    const { Backup } = await api.call('DeleteBackup', { BackupId });
    expect(Backup).to.include({
      BackupState: 'PENDING_DELETION',
      DeleteTimestamp: (deletedMs + 7 * DAY_MS) / 1000,
    });
    await api.refused(api.call('DeleteBackup', { BackupId }), 'READY');
    await api.refused(api.call('ModifyBackupAttributes', { BackupId, NeverExpires: true }), 'READY');
    await api.advance(7 * DAY_MS - 1);
    const restored = await api.call('RestoreBackup', { BackupId });
    expect(restored.Backup).to.include({ BackupState: 'READY' });
    expect(restored.Backup!.DeleteTimestamp).to.equal(undefined);
    await api.call('DeleteBackup', { BackupId });
    await api.advance(7 * DAY_MS - 1);
    expect(api.archive.kept.has(`${realm.account}/${realm.region}/${BackupId}`)).to.equal(true);
    await api.advance(1);
    await api.refused(api.call('RestoreBackup', { BackupId }), 'DELETED');
    expect(api.archive.kept.has(`${realm.account}/${realm.region}/${BackupId}`)).to.equal(false);
  });

  it('are copied to another region, with the tags given or else their own', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.hsms.running.get(hsmId)!.content.push('late');
    const [source] = await api.backups(id);
    const { BackupId } = source!;
    await api.call('TagResource', { ResourceId: BackupId, TagList: [{ Key: 'a', Value: '1' }] });
    const { DestinationBackup } = await api.call('CopyBackupToRegion', {
      BackupId,
      DestinationRegion: west.region,
    });
    expect(DestinationBackup).to.deep.equal({
      CreateTimestamp: source!.CreateTimestamp,
      SourceRegion: realm.region,
      SourceBackup: BackupId,
      SourceCluster: id,
    });
    const TagList = [{ Key: 'b', Value: '2' }];
    await api.call('CopyBackupToRegion', { BackupId, DestinationRegion: west.region, TagList });
    await api.settle();
    const { Backups } = await api.call('DescribeBackups', { Filters: { sourceBackupIds: [BackupId] } }, west);
    expect(Backups!.map(({ BackupState }) => BackupState)).to.deep.equal(['READY', 'READY']);
    expect(Backups!.map(({ TagList: tags }) => tags![0]!.Key)).to.have.members(['a', 'b']);
    expect(Backups![0]!.BackupArn).to.equal(
      `arn:aws:cloudhsm:us-west-2:${realm.account}:backup/${Backups![0]!.BackupId}`,
    );
    const cloned = await api.newCluster({ SourceBackupId: Backups![0]!.BackupId }, west);
    const { HsmId } = await api.newHsm(cloned, 'a', west);
    expect(api.hsms.running.get(HsmId)!.content).to.deep.equal([]);
    expect((await api.cluster(cloned, west)).Certificates).to.deep.equal(
      (await api.cluster(id)).Certificates,
    );
  });

  it('are not copied to their own region, to another partition or while they are being deleted', async () => {
    const { id } = await api.activeCluster();
    const [{ BackupId }] = (await api.backups(id)) as [{ BackupId: string }];
    const copy = (DestinationRegion: string) =>
      api.call('CopyBackupToRegion', { BackupId, DestinationRegion });
    await api.refused(copy('us-east-1'), 'already');
    await api.refused(copy('us-gov-west-1'), 'partition');
    await api.refused(copy('cn-north-1'), 'partition');
    await api.call('DeleteBackup', { BackupId });
    await api.refused(copy('us-west-2'), 'PENDING_DELETION');
  });

  it('whose copy fails again and again end as DELETED', async () => {
    const { id } = await api.activeCluster();
    const [{ BackupId }] = (await api.backups(id)) as [{ BackupId: string }];
    api.archive.failing = 'no key';
    await api.call('CopyBackupToRegion', { BackupId, DestinationRegion: west.region });
    await api.advance(60_000);
    api.archive.failing = undefined;
    const { Backups } = await api.call('DescribeBackups', {}, west);
    expect(Backups!.map(({ BackupState }) => BackupState)).to.deep.equal(['DELETED']);
  });

  it('make clusters that are ACTIVE at once, with the content that they have', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.hsms.running.get(hsmId)!.content.push('a key');
    await api.advance(DAY_MS);
    const [newest] = await api.backups(id);
    const { Cluster } = await api.call('CreateCluster', {
      HsmType: 'hsm2m.medium',
      Mode: 'FIPS',
      SubnetIds: [...subnets],
      SourceBackupId: newest!.BackupArn,
    });
    expect(Cluster).to.include({ State: 'CREATE_IN_PROGRESS', SourceBackupId: newest!.BackupId });
    expect(Cluster!.Certificates).to.deep.equal((await api.cluster(id)).Certificates);
    await api.settle();
    const cloned = await api.cluster(Cluster!.ClusterId!);
    expect(cloned).to.include({ State: 'ACTIVE' });
    expect(cloned.Hsms).to.deep.equal([]);
    const { HsmId } = await api.newHsm(cloned.ClusterId!);
    expect(api.hsms.running.get(HsmId)!.content).to.deep.equal(['a key']);
  });

  it('make no clusters of another mode, of an older type or that are not READY', async () => {
    const { id } = await api.activeCluster();
    const [{ BackupId }] = (await api.backups(id)) as [{ BackupId: string }];
    const from = (changes: object) => api.newCluster({ SourceBackupId: BackupId, ...changes });
    await api.refused(from({ Mode: 'NON_FIPS' }), 'NON_FIPS');
    await api.refused(from({ HsmType: 'hsm1.medium' }), 'does not take it');
    await api.call('DeleteBackup', { BackupId });
    await api.refused(from({}), 'READY');
    const unknown = await api.refusal(from({ SourceBackupId: 'backup-aaaaaaaaaaa' }));
    expect(unknown.code).to.equal('CloudHsmResourceNotFoundException');
  });

  it('are shared with other accounts by a policy, and with nobody else', async () => {
    const { id } = await api.activeCluster();
    const [{ BackupId, BackupArn: ResourceArn }] = (await api.backups(id)) as [
      { BackupId: string; BackupArn: string },
    ];
    const consumer = { ...realm, account: '210987654321' };
    const make = (source: string) => api.newCluster({ SourceBackupId: source }, consumer);
    expect((await api.refusal(make(ResourceArn))).code).to.equal('CloudHsmResourceNotFoundException');
    const statement = {
      Effect: 'Allow',
      Principal: { AWS: consumer.account },
      Action: ['cloudhsm:CreateCluster', 'cloudhsm:DescribeBackups'],
      Resource: ResourceArn,
    };
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
    const put = (policy: string) => api.call('PutResourcePolicy', { ResourceArn, Policy: policy });
    await api.refused(put('{'), 'JSON');
    await api.refused(put('{"Statement":[]}'), 'Statement');
    await api.refused(
      put(Policy.replaceAll('cloudhsm:CreateCluster', 'cloudhsm:DeleteBackup')),
      'DeleteBackup',
    );
    expect(await put(Policy)).to.deep.equal({ ResourceArn, Policy });
    expect(await api.call('GetResourcePolicy', { ResourceArn })).to.deep.equal({ Policy });
    const { Backups } = await api.call('DescribeBackups', { Shared: true }, consumer);
    expect(Backups!.map((backup) => backup.BackupId)).to.deep.equal([BackupId]);
    expect((await api.call('DescribeBackups', {}, consumer)).Backups).to.deep.equal([]);
    expect((await api.refusal(make(BackupId))).code).to.equal('CloudHsmResourceNotFoundException');
    expect((await api.cluster(await make(ResourceArn), consumer)).State).to.equal('ACTIVE');
    expect(await api.call('DeleteResourcePolicy', { ResourceArn })).to.deep.equal({ ResourceArn, Policy });
    expect((await api.call('GetResourcePolicy', { ResourceArn })).Policy).to.equal(undefined);
    expect((await api.refusal(make(ResourceArn))).code).to.equal('CloudHsmResourceNotFoundException');
    const cluster = `arn:aws:cloudhsm:us-east-1:${realm.account}:cluster/${id}`;
    await api.refused(api.call('GetResourcePolicy', { ResourceArn: cluster }), 'Only backups');
    await api.refused(api.call('GetResourcePolicy', {}), 'missing');
  });

  it('page by page are each seen once, though others are deleted meanwhile', async () => {
    const { id, hsmId } = await api.activeCluster();
    for (let count = 0; count < 40; count++) await api.advance(DAY_MS);
    expect(api.hsms.running.has(hsmId)).to.equal(true);
    for (const SortAscending of [false, true]) {
      const seen: string[] = [];
      let NextToken: string | undefined;
      do {
        const input = { MaxResults: 7, SortAscending, NextToken, Filters: { clusterIds: [id] } };
        const page = await api.call('DescribeBackups', input);
        seen.push(...page.Backups!.map(({ BackupId }) => BackupId));
        await api.controlPlane.context.catalogue.transaction((tx) => tx.remove('backup', seen[0]!));
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
      expect(new Set(seen).size).to.equal(seen.length);
      expect(seen).to.have.length(SortAscending ? 40 : 41);
    }
    const { NextToken } = await api.call('DescribeBackups', { MaxResults: 1 });
    await api.refused(api.call('DescribeBackups', { NextToken, SortAscending: true }), 'NextToken');
    await api.refused(api.call('DescribeClusters', { NextToken }), 'NextToken');
    await api.refused(api.call('DescribeBackups', { NextToken: 'AAAA' }), 'NextToken');
    await api.restart();
    expect((await api.call('DescribeBackups', { NextToken })).Backups).to.have.length(38);
  });
});
