import { expect } from 'chai';
import { subnets, TestedControlPlane } from '../support/control-plane.js';

// Rules of section 5 of the reference on the control plane that are no constraint of a shape.
describe('what operations refuse', () => {
  let api: TestedControlPlane;

  beforeEach(async () => {
    api = await new TestedControlPlane().open({
      subnets: {
        'subnet-00000001': { vpcId: 'vpc-00000001', availabilityZone: 'us-east-1a', cidr: '127.9.1.0/28' },
        'subnet-00000002': { vpcId: 'vpc-00000001', availabilityZone: 'us-east-1a', cidr: '127.9.2.0/24' },
        'subnet-00000003': { vpcId: 'vpc-00000003', availabilityZone: 'us-east-1b', cidr: '127.9.3.0/24' },
        'subnet-00000004': { vpcId: 'vpc-00000001', availabilityZone: 'eu-west-1a', cidr: '127.9.4.0/24' },
        'subnet-00000005': { vpcId: 'vpc-00000001', availabilityZone: 'us-east-1c', cidr: '127.09.05.0/24' },
      },
    });
  });
  afterEach(() => api.controlPlane.close());

  it('a cluster of an unknown type, without a mode, or of a kind that there is not', async () => {
    await api.refused(api.newCluster({ HsmType: 'hsm9.large' }), 'HsmType hsm9.large');
    await api.refused(
      api.newCluster({ Mode: undefined }),
      '^Mode is a required argument for this hsm type.$',
    );
    await api.refused(api.newCluster({ HsmType: 'hsm1.medium', Mode: 'NON_FIPS' }), 'FIPS mode');
    await api.refused(
      api.newCluster({ HsmType: 'hsm1.medium', NetworkType: 'DUALSTACK' }),
      'network type IPV4',
    );
    const id = await api.newCluster({ HsmType: 'hsm1.medium', Mode: undefined });
    expect((await api.cluster(id)).Mode).to.equal('FIPS');
  });

  it('new clusters of hsm1.medium, where they are not offered', async () => {
    await api.controlPlane.close();
    api = await new TestedControlPlane().open({ offerHsm1: false });
    await api.refused(api.newCluster({ HsmType: 'hsm1.medium', Mode: undefined }), 'not supported');
  });

  it('subnets of two VPCs, two of one zone, and those of another region', async () => {
    const withSubnets = (...SubnetIds: string[]) => api.newCluster({ SubnetIds });
    await api.refused(withSubnets('subnet-00000001', 'subnet-00000003'), 'different VPCs');
    await api.refused(withSubnets('subnet-00000001', 'subnet-00000002'), 'one subnet per Availability Zone');
    await api.refused(withSubnets(subnets[0], subnets[0]), 'one subnet per Availability Zone');
    await api.refused(withSubnets('subnet-00000004'), 'not in us-east-1');
  });

  it('more than four clusters and six HSMs', async () => {
    const { id } = await api.activeCluster();
    for (let count = 1; count < 6; count++) await api.newHsm(id, count % 2 ? 'b' : 'a');
    await api.refused(api.newHsm(id), '6 HSMs');
    for (let count = 1; count < 4; count++) await api.newCluster();
    await api.refused(api.newCluster(), '4 clusters');
  });

  it('no HSM in a subnet of which the configuration writes zeros in front: it has its addresses', async () => {
    const id = await api.newCluster({ SubnetIds: ['subnet-00000005'] });
    const { Hsm } = await api.call('CreateHsm', { ClusterId: id, AvailabilityZone: 'us-east-1c' });
    expect(Hsm!.EniIp).to.match(/^127\.9\.5\.\d+$/);
  });

  it('an HSM in a zone without subnet, and at an address that is not its subnet’s or in use', async () => {
    const id = await api.newCluster({ SubnetIds: ['subnet-00000001'] });
    await api.refused(api.newHsm(id, 'b'), 'us-east-1b');
    const at = (IpAddress: string) =>
      api.call('CreateHsm', { ClusterId: id, AvailabilityZone: 'us-east-1a', IpAddress });
    for (const wrong of ['127.9.2.4', '127.9.1.3', '127.9.1.15', '127.9.1.999', '127.9.1.05', '127.09.1.5'])
      await api.refused(at(wrong), 'is not an address');
    expect((await at('127.9.1.5')).Hsm!.EniIp).to.equal('127.9.1.5');
    await api.settle();
    const other = await api.newCluster({ SubnetIds: ['subnet-00000001'] });
    const input = { ClusterId: other, AvailabilityZone: 'us-east-1a', IpAddress: '127.9.1.5' };
    await api.refused(api.call('CreateHsm', input), 'in use');
  });

  it('the deletion of an HSM that is not named, not there or named in two ways that disagree', async () => {
    const { id: ClusterId, hsmId: HsmId } = await api.activeCluster();
    const { EniId, HsmId: other } = await api.newHsm(ClusterId, 'b');
    await api.refused(api.call('DeleteHsm', { ClusterId }), 'Name the HSM');
    await api.refused(api.call('DeleteHsm', { ClusterId, HsmId, EniId }), 'different HSMs');
    const unknown = await api.refusal(api.call('DeleteHsm', { ClusterId, HsmId: 'hsm-aaaaaaaaaaa' }));
    expect(unknown.code).to.equal('CloudHsmResourceNotFoundException');
    expect(await api.call('DeleteHsm', { ClusterId, HsmId: other, EniId })).to.deep.equal({ HsmId: other });
  });

  it('a modification of nothing, and of clusters that are not there', async () => {
    const ClusterId = await api.newCluster();
    await api.refused(api.call('ModifyCluster', { ClusterId }), 'Nothing');
    const BackupRetentionPolicy = { Type: 'DAYS' as const, Value: '379' };
    const { Cluster } = await api.call('ModifyCluster', { ClusterId, BackupRetentionPolicy });
    expect(Cluster).to.deep.include({ BackupRetentionPolicy, State: 'UNINITIALIZED' });
    await api.refused(api.call('ModifyCluster', { ClusterId, HsmType: 'hsm2m.medium' }), 'ACTIVE');
    const gone = { ClusterId: 'cluster-aaaaaaaaaaa' };
    for (const call of [
      api.call('ModifyCluster', { ...gone, BackupRetentionPolicy }),
      api.call('DeleteCluster', gone),
      api.call('CreateHsm', { ...gone, AvailabilityZone: 'us-east-1a' }),
      api.call('DeleteHsm', { ...gone, HsmId: 'hsm-aaaaaaaaaaa' }),
      api.call('ListTags', { ResourceId: gone.ClusterId }),
      api.call('DeleteBackup', { BackupId: 'backup-aaaaaaaaaaa' }),
    ])
      expect((await api.refusal(call)).code).to.equal('CloudHsmResourceNotFoundException');
    expect(
      (await api.call('DescribeClusters', { Filters: { clusterIds: [gone.ClusterId] } })).Clusters,
    ).to.deep.equal([]);
  });

  it('filters that there are not', async () => {
    await api.refused(api.call('DescribeClusters', { Filters: { names: ['a'] } }), 'no filter names');
    await api.refused(api.call('DescribeBackups', { Filters: { constructor: ['a'] } }), 'no filter');
    await api.newCluster();
    const { Clusters } = await api.call('DescribeClusters', {
      Filters: { states: ['ACTIVE', 'UNINITIALIZED'] },
    });
    expect(Clusters).to.have.length(1);
  });

  it('tags that are reserved, given twice or too many', async () => {
    const ResourceId = await api.newCluster({ TagList: [{ Key: 'first', Value: '' }] });
    const tag = (...keys: string[]) =>
      api.call('TagResource', { ResourceId, TagList: keys.map((Key) => ({ Key, Value: 'x' })) });
    expect((await api.refusal(tag('aws:x'))).code).to.equal('CloudHsmTagException');
    expect((await api.refusal(tag('a', 'a'))).code).to.equal('CloudHsmTagException');
    await tag(...Array.from({ length: 49 }, (_, at) => `key ${at}`));
    expect((await api.refusal(tag('one more'))).code).to.equal('CloudHsmResourceLimitExceededException');
    await tag('first');
    const keys: string[] = [];
    let NextToken: string | undefined;
    do {
      const page = await api.call('ListTags', { ResourceId, MaxResults: 20, NextToken });
      keys.push(...page.TagList.map(({ Key }) => Key));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    expect(keys).to.have.length(50);
    expect((await api.cluster(ResourceId)).TagList!.map(({ Key }) => Key)).to.deep.equal(keys);
    await api.call('UntagResource', { ResourceId, TagKeyList: keys.slice(0, 49) });
    expect((await api.call('ListTags', { ResourceId })).TagList).to.deep.equal([
      { Key: 'key 48', Value: 'x' },
    ]);
  });
});
