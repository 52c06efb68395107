import { expect } from 'chai';
import { realm, subnets, TestedControlPlane } from '../support/control-plane.js';

const DAY_MS = 86_400_000;

// The documented flow and the states of section 6 of the reference on the control plane.
describe('the life of a cluster', () => {
  let api: TestedControlPlane;

  beforeEach(async () => {
    api = await new TestedControlPlane().open();
  });
  afterEach(() => api.controlPlane.close());

  it('begins in CREATE_IN_PROGRESS, and is UNINITIALIZED once it is there', async () => {
    const { Cluster } = await api.call('CreateCluster', {
      HsmType: 'hsm2m.medium',
      Mode: 'FIPS',
      SubnetIds: [...subnets],
    });
    expect(Cluster).to.include({ State: 'CREATE_IN_PROGRESS', HsmType: 'hsm2m.medium', Mode: 'FIPS' });
    expect(Cluster!.ClusterId).to.match(/^cluster-[a-z2-7]{11}$/);
    expect(Cluster).to.deep.include({
      Hsms: [],
      Certificates: {},
      NetworkType: 'IPV4',
      BackupRetentionPolicy: { Type: 'DAYS', Value: '90' },
      SubnetMapping: { 'us-east-1a': subnets[0], 'us-east-1b': subnets[1] },
    });
    expect(Cluster!.SecurityGroup).to.equal(undefined);
    await api.settle();
    const cluster = await api.cluster(Cluster!.ClusterId!);
    expect(cluster.State).to.equal('UNINITIALIZED');
    expect(cluster.SecurityGroup).to.match(/^sg-[0-9a-f]{17}$/);
    expect(cluster.VpcId).to.match(/^vpc-[0-9a-f]{17}$/);
  });

  it('goes on to ACTIVE by way of its first HSM, its owner and its first password', async () => {
    const id = await api.newCluster();
    const hsm = await api.newHsm(id);
    expect(hsm).to.include({ State: 'CREATE_IN_PROGRESS', AvailabilityZone: 'us-east-1a', ClusterId: id });
    expect(hsm.EniId).to.match(/^eni-[0-9a-f]{17}$/);
    const uninitialized = await api.cluster(id);
    expect(uninitialized.Hsms![0]).to.include({ HsmId: hsm.HsmId, EniId: hsm.EniId, State: 'ACTIVE' });
    expect(Object.keys(uninitialized.Certificates!)).to.have.members([
      'ClusterCsr',
      'HsmCertificate',
      'AwsHardwareCertificate',
      'ManufacturerHardwareCertificate',
    ]);
    const { id: second, hsmId } = await api.initializedCluster();
    const initialized = await api.cluster(second);
    expect(initialized.State).to.equal('INITIALIZED');
    expect(Object.keys(initialized.Certificates!)).to.deep.equal(['ClusterCertificate']);
    expect(await api.backups(second)).to.deep.equal([]);
    api.hsms.activate(hsmId);
    await api.settle();
    expect((await api.cluster(second)).State).to.equal('ACTIVE');
    expect((await api.backups(second)).map(({ BackupState }) => BackupState)).to.deep.equal(['READY']);
  });

  it('says INITIALIZE_IN_PROGRESS in the words that scripts look for', async () => {
    const { id } = await api.initializedCluster();
    const other = await api.newCluster();
    await api.newHsm(other);
    const { ownerOf } = await import('../support/control-plane.js');
    const { signedCert, trustAnchor } = ownerOf((await api.cluster(other)).Certificates!.ClusterCsr!);
    const input = { ClusterId: other, SignedCert: signedCert, TrustAnchor: trustAnchor };
    expect(await api.call('InitializeCluster', input)).to.deep.equal({
      State: 'INITIALIZE_IN_PROGRESS',
      StateMessage: 'Cluster is initializing. State will change to INITIALIZED upon completion.',
    });
    await api.refused(api.call('InitializeCluster', { ...input, ClusterId: id }), 'UNINITIALIZED');
  });

  it('takes a second HSM when it is active, not before', async () => {
    const { id, hsmId } = await api.initializedCluster();
    await api.refused(
      api.newHsm(id),
      `^Cluster '${id}' already contains an HSM but has not yet been fully activated$`,
    );
    api.hsms.activate(hsmId);
    await api.settle();
    await api.newHsm(id, 'b');
    expect((await api.cluster(id)).Hsms!.map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
  });

  it('is backed up when an HSM comes or goes, and a new HSM begins with the backup', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.hsms.running.get(hsmId)!.content.push('a key');
    const { HsmId: second } = await api.newHsm(id, 'b');
    expect(api.hsms.running.get(second)!.content).to.deep.equal(['a key']);
    expect(await api.backups(id)).to.have.length(2);
    await api.call('DeleteHsm', { ClusterId: id, HsmId: second });
    await api.settle();
    expect(await api.backups(id)).to.have.length(3);
    expect((await api.cluster(id)).Hsms!.map(({ HsmId }) => HsmId)).to.deep.equal([hsmId]);
  });

  it('stays ACTIVE without HSMs, and its next HSM has what the last one had', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.hsms.running.get(hsmId)!.content.push('a key');
    const { Certificates } = await api.cluster(id);
    const { EniIp } = (await api.cluster(id)).Hsms![0]!;
    await api.call('DeleteHsm', { ClusterId: id, EniIp });
    await api.settle();
    expect(await api.cluster(id)).to.deep.include({ State: 'ACTIVE', Hsms: [], Certificates });
    expect(api.hsms.running.size).to.equal(0);
    const input = { ClusterId: id, AvailabilityZone: 'us-east-1a', IpAddress: EniIp };
    const { Hsm } = await api.call('CreateHsm', input);
    await api.settle();
    expect(Hsm!.EniIp).to.equal(EniIp);
    expect(api.hsms.running.get(Hsm!.HsmId)!.content).to.deep.equal(['a key']);
  });

  /** What an HSM is given to keep as soon as a backup of it was taken. */
  function writeAfterBackup(hsmId: string, text: string): void {
    const backUp = api.hsms.backUp.bind(api.hsms);
    api.hsms.backUp = async (id) => {
      const container = await backUp(id);
      if (id === hsmId) api.hsms.running.get(id)!.content.push(text);
      api.hsms.backUp = backUp;
      return container;
    };
  }

  it('gives a new HSM what the last one had when it went, though that was written after the backup that was taken for it', async () => {
    const { id, hsmId } = await api.activeCluster();
    writeAfterBackup(hsmId, 'late');
    const { Hsm } = await api.call('CreateHsm', { ClusterId: id, AvailabilityZone: 'us-east-1b' });
    await api.call('DeleteHsm', { ClusterId: id, HsmId: hsmId });
    await api.settle();
    expect((await api.cluster(id)).Hsms!.map(({ State }) => State)).to.deep.equal(['ACTIVE']);
    expect(api.hsms.running.get(Hsm!.HsmId)!.content).to.deep.equal(['late']);
  });

  it('has in its latest backup what the last of its HSMs had, when all of them go at once', async () => {
    const { id, hsmId } = await api.activeCluster();
    const { HsmId: other } = await api.newHsm(id, 'b');
    const order: string[] = [];
    const backUp = api.hsms.backUp.bind(api.hsms);
    api.hsms.backUp = async (one) => {
      // The first takes longer.
      if (one === hsmId) for (let turn = 0; turn < 50; turn++) await new Promise((go) => setImmediate(go));
      order.push(one);
      return backUp(one);
    };
    for (const HsmId of [hsmId, other]) await api.call('DeleteHsm', { ClusterId: id, HsmId });
    await api.settle();
    expect(order).to.deep.equal([hsmId, other]);
    expect((await api.cluster(id)).Hsms).to.deep.equal([]);
  });

  it('does not lose the last HSM to a backup that cannot be taken', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.archive.failing = 'the disk is full';
    await api.call('DeleteHsm', { ClusterId: id, HsmId: hsmId });
    await api.advance(600_000);
    expect((await api.cluster(id)).Hsms![0]).to.include({ State: 'DELETE_IN_PROGRESS' });
    expect(api.hsms.running.get(hsmId)!.retired, 'nobody writes what no backup has').to.equal(true);
    api.archive.failing = undefined;
    await api.advance(60_000);
    expect((await api.cluster(id)).Hsms).to.deep.equal([]);
    expect((await api.backups(id)).map(({ BackupState }) => BackupState)).to.deep.equal(['READY', 'READY']);
  });

  it('shows no certificates of an HSM that is gone', async () => {
    const id = await api.newCluster();
    const { HsmId } = await api.newHsm(id);
    await api.call('DeleteHsm', { ClusterId: id, HsmId });
    await api.settle();
    expect((await api.cluster(id)).Certificates).to.deep.equal({});
    expect(await api.backups(id)).to.deep.equal([]);
  });

  it('is deleted when its HSMs are gone, stays listed for a while, and its backups stay', async () => {
    const { id, hsmId } = await api.activeCluster();
    await api.refused(api.call('DeleteCluster', { ClusterId: id }), 'has 1 HSMs');
    await api.call('DeleteHsm', { ClusterId: id, HsmId: hsmId });
    await api.settle();
    const { Cluster } = await api.call('DeleteCluster', { ClusterId: id });
    expect(Cluster).to.include({
      State: 'DELETE_IN_PROGRESS',
      StateMessage: 'The cluster is being deleted.',
    });
    expect(Cluster!.Certificates!.ClusterCertificate).to.be.a('string');
    await api.settle();
    expect((await api.cluster(id)).State).to.equal('DELETED');
    const again = await api.refusal(api.call('DeleteCluster', { ClusterId: id }));
    expect(again.code).to.equal('CloudHsmResourceNotFoundException');
    await api.advance(DAY_MS);
    const { Clusters } = await api.call('DescribeClusters', { Filters: { clusterIds: [id] } });
    expect(Clusters).to.deep.equal([]);
    expect(await api.backups(id)).to.have.length(2);
  });

  it('replaces an HSM that fails by one with the same ENI and the content of the others', async () => {
    const { id, hsmId } = await api.activeCluster();
    const { HsmId: second } = await api.newHsm(id, 'b');
    const before = (await api.cluster(id)).Hsms!.find(({ HsmId }) => HsmId === hsmId)!;
    api.hsms.running.get(second)!.content.push('a late key');
    api.hsms.fail(hsmId);
    await api.settle();
    const { State, Hsms } = await api.cluster(id);
    expect(State).to.equal('ACTIVE');
    expect(Hsms!.map(({ State: state }) => state)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    const after = Hsms!.find(({ EniId }) => EniId === before.EniId)!;
    expect(after.HsmId).not.to.equal(hsmId);
    expect(after).to.include({ EniIp: before.EniIp, AvailabilityZone: before.AvailabilityZone });
    expect(api.hsms.running.get(after.HsmId)!.content).to.deep.equal(['a late key']);
  });

  it('is DEGRADED while its only HSM is being replaced', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.archive.failing = 'the archive is away';
    api.hsms.fail(hsmId);
    await api.settle();
    expect((await api.cluster(id)).State).to.equal('DEGRADED');
    api.archive.failing = undefined;
    await api.advance(60_000);
    const { State, Hsms } = await api.cluster(id);
    expect(State).to.equal('ACTIVE');
    expect(Hsms!.map(({ State: state }) => state)).to.deep.equal(['ACTIVE']);
  });

  it('says why an HSM does not come', async () => {
    const id = await api.newCluster();
    api.hsms.failing = 'port 2223 is in use';
    await api.newHsm(id);
    const [waiting] = (await api.cluster(id)).Hsms!;
    expect(waiting!.State).to.equal('CREATE_IN_PROGRESS');
    expect(waiting!.StateMessage).to.contain('port 2223 is in use');
    api.hsms.failing = undefined;
    await api.advance(60_000);
    const [active] = (await api.cluster(id)).Hsms!;
    expect(active).to.include({ State: 'ACTIVE' });
    expect(active!.StateMessage).to.equal(undefined);
  });

  it('lets an HSM that does not come go at once, however often it was tried', async () => {
    const id = await api.newCluster();
    api.hsms.failing = 'port 2223 is in use';
    const { HsmId } = await api.newHsm(id);
    await api.advance(30_000);
    api.hsms.failing = undefined;
    await api.call('DeleteHsm', { ClusterId: id, HsmId });
    await api.settle();
    expect((await api.cluster(id)).Hsms).to.deep.equal([]);
  });

  it('takes as long as on AWS when told so', async () => {
    await api.controlPlane.close();
    api = await new TestedControlPlane().open({ awsTiming: true });
    const id = await api.newCluster();
    expect((await api.cluster(id)).State).to.equal('CREATE_IN_PROGRESS');
    await api.advance(60_000);
    expect((await api.cluster(id)).State).to.equal('UNINITIALIZED');
    await api.newHsm(id);
    await api.advance(299_999);
    expect((await api.cluster(id)).Hsms![0]!.State).to.equal('CREATE_IN_PROGRESS');
    await api.advance(1);
    expect((await api.cluster(id)).Hsms![0]!.State).to.equal('ACTIVE');
  });

  it('changes from hsm1.medium to hsm2m.medium, and back within a day', async () => {
    const { id, hsmId } = await api.activeCluster();
    await api.refused(
      api.call('ModifyCluster', { ClusterId: id, HsmType: 'hsm1.medium' }),
      'cannot be changed',
    );
    await api.call('DeleteHsm', { ClusterId: id, HsmId: hsmId });
    const old = await api.newCluster({ HsmType: 'hsm1.medium', Mode: undefined });
    const { HsmId: first } = await api.newHsm(old);
    const { ownerOf } = await import('../support/control-plane.js');
    const { signedCert, trustAnchor } = ownerOf((await api.cluster(old)).Certificates!.ClusterCsr!);
    await api.call('InitializeCluster', { ClusterId: old, SignedCert: signedCert, TrustAnchor: trustAnchor });
    await api.settle();
    api.hsms.activate(first);
    await api.settle();
    api.hsms.running.get(first)!.content.push('a key');
    const before = (await api.cluster(old)).Hsms![0]!;
    const { Cluster } = await api.call('ModifyCluster', { ClusterId: old, HsmType: 'hsm2m.medium' });
    expect(Cluster).to.include({ State: 'MODIFY_IN_PROGRESS', HsmType: 'hsm2m.medium' });
    expect(Cluster!.HsmTypeRollbackExpiration).to.equal(api.time.nowMs() / 1000 + 86_400);
    await api.refused(api.newHsm(old, 'b'), 'MODIFY_IN_PROGRESS');
    await api.settle();
    const migrated = await api.cluster(old);
    expect(migrated.State).to.equal('ACTIVE');
    expect(migrated.Hsms![0]).to.include({ HsmType: 'hsm2m.medium', EniIp: before.EniIp });
    api.hsms.running.get(migrated.Hsms![0]!.HsmId)!.content.push('a key of after');
    const back = await api.call('ModifyCluster', { ClusterId: old, HsmType: 'hsm1.medium' });
    expect(back.Cluster!.State).to.equal('ROLLBACK_IN_PROGRESS');
    await api.settle();
    const rolledBack = await api.cluster(old);
    expect(rolledBack).to.include({ State: 'ACTIVE', HsmType: 'hsm1.medium' });
    expect(rolledBack.HsmTypeRollbackExpiration).to.equal(undefined);
    expect(api.hsms.running.get(rolledBack.Hsms![0]!.HsmId)!.content).to.deep.equal(['a key']);
  });

  it('keeps accounts and regions apart', async () => {
    const id = await api.newCluster();
    const others = [
      { ...realm, account: '210987654321' },
      { ...realm, region: 'eu-west-1' },
    ];
    for (const other of others) {
      expect((await api.call('DescribeClusters', {}, other)).Clusters).to.deep.equal([]);
      const refusal = await api.refusal(api.call('DeleteCluster', { ClusterId: id }, other));
      expect(refusal.code).to.equal('CloudHsmResourceNotFoundException');
    }
    const elsewhere = await api.newCluster({ SubnetIds: ['subnet-0aaaaaaa'] }, others[1]);
    expect(Object.keys((await api.cluster(elsewhere, others[1])).SubnetMapping!)).to.deep.equal([
      'eu-west-1a',
    ]);
  });
});
