import { expect } from 'chai';
import type { Input } from '../../src/control-plane/service/operations.js';
import { realm, subnets, TestedControlPlane } from '../support/control-plane.js';

const west = { ...realm, region: 'us-west-2' };
const stranger = { ...realm, account: '210987654321' };

// What sections 4 to 8 of the reference on the control plane rule out, by the states of clusters, HSMs and backups.
describe('the API refuses', () => {
  let api: TestedControlPlane;

  beforeEach(async () => {
    api = await new TestedControlPlane().open({
      subnets: {
        'subnet-00000001': { vpcId: 'vpc-00000001', availabilityZone: 'us-east-1a', cidr: '127.9.1.0/24' },
        'subnet-00000002': {
          vpcId: 'vpc-00000001',
          availabilityZone: 'us-east-1b',
          cidr: '127.9.2.0/24',
          ipv6Cidr: '2001:db8:1:2::/64',
        },
      },
    });
  });
  afterEach(() => api.controlPlane.close());

  /** States last. */
  const slowly = async (): Promise<void> => {
    await api.controlPlane.close();
    api = await new TestedControlPlane().open({ awsTiming: true });
  };
  const notFound = async (call: Promise<unknown>): Promise<void> => {
    expect((await api.refusal(call)).code).to.equal('CloudHsmResourceNotFoundException');
  };
  const backupOf = async (ClusterId: string) => {
    const [backup] = await api.backups(ClusterId);
    return { BackupId: backup!.BackupId, ResourceArn: backup!.BackupArn! };
  };
  const remove = (ClusterId: string, HsmId: string) => api.call('DeleteHsm', { ClusterId, HsmId });

  it('DUALSTACK where a subnet has no IPv6, and gives addresses of it where it has', async () => {
    const dual = (...SubnetIds: string[]) => api.newCluster({ SubnetIds, NetworkType: 'DUALSTACK' });
    await api.refused(dual('subnet-00000001', 'subnet-00000002'), 'subnet-00000001 has no IPv6 CIDR');
    const { EniIpV6 } = await api.newHsm(await dual('subnet-00000002'), 'b');
    expect(EniIpV6).to.match(/^2001:db8:1:2(:[0-9a-f]{4}){4}$/);
    expect((await api.newHsm(await dual(subnets[0]))).EniIpV6).to.match(/^fd00:(:[0-9a-f]{4}){4}$/);
    expect((await api.newHsm(await api.newCluster())).EniIpV6).to.equal(undefined);
  });

  it('a retention that says no days', async () => {
    await api.refused(api.newCluster({ BackupRetentionPolicy: { Type: 'DAYS' } }), 'Value is missing');
    const ClusterId = await api.newCluster();
    await api.refused(
      api.call('ModifyCluster', { ClusterId, BackupRetentionPolicy: {} }),
      'Value is missing',
    );
  });

  it('a second HSM before activation, whichever state the first one is in', async () => {
    await slowly();
    const id = await api.newCluster();
    await api.advance(120_000);
    await api.newHsm(id);
    await api.refused(api.newHsm(id, 'b'), 'already contains an HSM but has not yet been fully activated');
    await api.advance(600_000);
    await api.refused(api.newHsm(id, 'b'), 'already contains an HSM but has not yet been fully activated');
  });

  it('HSMs in clusters that are on their way, and clusters that are deleted too early or twice', async () => {
    await slowly();
    const id = await api.newCluster();
    const deleteCluster = () => api.call('DeleteCluster', { ClusterId: id });
    await api.refused(api.newHsm(id), 'CREATE_IN_PROGRESS');
    await api.refused(deleteCluster(), 'CREATE_IN_PROGRESS');
    await api.advance(120_000);
    await deleteCluster();
    await api.refused(api.newHsm(id), 'DELETE_IN_PROGRESS');
    await api.refused(deleteCluster(), 'DELETE_IN_PROGRESS');
    const retention = { Type: 'DAYS' as const, Value: '30' };
    await api.refused(
      api.call('ModifyCluster', { ClusterId: id, BackupRetentionPolicy: retention }),
      'deleted',
    );
  });

  it('the deletion of an HSM that is going already, and of a cluster as long as it is there', async () => {
    await slowly();
    const { id, hsmId } = await api.activeCluster();
    await remove(id, hsmId);
    await api.refused(remove(id, hsmId), 'being deleted already');
    await api.refused(api.call('DeleteCluster', { ClusterId: id }), 'has 1 HSMs');
  });

  it('an initialisation before there is a CSR', async () => {
    const ClusterId = await api.newCluster();
    const input = { ClusterId, SignedCert: 'x', TrustAnchor: 'x' };
    await api.refused(api.call('InitializeCluster', input), 'no active HSM');
  });

  it('what is done to a backup that is on its way, and to one that is gone', async () => {
    await slowly();
    const { id, hsmId } = await api.activeCluster();
    await remove(id, hsmId);
    const { BackupId } = await backupOf(id);
    const TagList = [{ Key: 'a', Value: 'b' }];
    await api.refused(api.call('DeleteBackup', { BackupId }), 'CREATE_IN_PROGRESS');
    await api.refused(api.call('CopyBackupToRegion', { BackupId, DestinationRegion: west.region }), 'READY');
    await api.refused(api.newCluster({ SourceBackupId: BackupId }), 'READY');
    await api.advance(600_000);
    await api.call('TagResource', { ResourceId: BackupId, TagList });
    await api.call('DeleteBackup', { BackupId });
    await api.advance(7 * 86_400_000);
    await notFound(api.call('TagResource', { ResourceId: BackupId, TagList }));
    await notFound(api.call('UntagResource', { ResourceId: BackupId, TagKeyList: ['a'] }));
    await api.refused(api.call('DeleteBackup', { BackupId }), 'DELETED');
  });

  it('backups of others and of other regions, whatever is asked of them', async () => {
    const { id } = await api.activeCluster();
    const { BackupId, ResourceArn } = await backupOf(id);
    for (const caller of [west, stranger]) {
      await notFound(api.call('DeleteBackup', { BackupId }, caller));
      await notFound(api.call('RestoreBackup', { BackupId }, caller));
      await notFound(api.call('ModifyBackupAttributes', { BackupId, NeverExpires: true }, caller));
      await notFound(api.call('CopyBackupToRegion', { BackupId, DestinationRegion: 'eu-west-1' }, caller));
      await notFound(api.call('GetResourcePolicy', { ResourceArn }, caller));
      await notFound(
        api.call('TagResource', { ResourceId: BackupId, TagList: [{ Key: 'a', Value: '' }] }, caller),
      );
      await notFound(api.newCluster({ SourceBackupId: ResourceArn }, caller));
    }
  });

  it('tags that are reserved or given twice, wherever tags are given', async () => {
    const { id } = await api.activeCluster();
    const { BackupId } = await backupOf(id);
    for (const TagList of [
      [{ Key: 'aws:x', Value: '' }],
      [
        { Key: 'a', Value: '' },
        { Key: 'a', Value: '' },
      ],
    ]) {
      const calls = [
        api.newCluster({ TagList }),
        api.call('CopyBackupToRegion', { BackupId, DestinationRegion: west.region, TagList }),
        api.call('TagResource', { ResourceId: BackupId, TagList }),
      ];
      for (const call of calls) expect((await api.refusal(call)).code).to.equal('CloudHsmTagException');
    }
    expect((await api.call('DescribeBackups', {}, west)).Backups).to.deep.equal([]);
  });

  it('policies for nobody, for other resources, and on backups that cannot be shared', async () => {
    const { id } = await api.activeCluster();
    const { BackupId, ResourceArn } = await backupOf(id);
    const policy = (changes: object): string =>
      JSON.stringify({
        Statement: {
          Effect: 'Allow',
          Principal: { AWS: stranger.account },
          Action: 'cloudhsm:CreateCluster',
          Resource: ResourceArn,
          ...changes,
        },
      });
    const put = (input: Input<'PutResourcePolicy'>) =>
      api.call('PutResourcePolicy', { ResourceArn, ...input });
    for (const AWS of ['nobody', '1234', 'arn:aws:iam::1234:root', 'arn:aws:s3:::bucket', ''])
      await api.refused(put({ Policy: policy({ Principal: { AWS } }) }), 'Invalid principal');
    for (const AWS of ['*', stranger.account, `arn:aws:iam::${stranger.account}:role/deploy`])
      await put({ Policy: policy({ Principal: { AWS } }) });
    await api.refused(put({ Policy: policy({ Resource: `${ResourceArn}x` }) }), 'The policy is for');
    await api.refused(put({ Policy: policy({ Condition: {} }) }), 'cannot be used');
    await api.refused(put({}), 'Policy is missing');
    const elsewhere = ResourceArn.replace('us-east-1', 'us-west-2');
    await api.refused(put({ ResourceArn: elsewhere, Policy: policy({}) }), 'not in this account and region');
    await api.call('DeleteBackup', { BackupId });
    await api.refused(put({ Policy: policy({}) }), 'PENDING_DELETION');
  });
});
