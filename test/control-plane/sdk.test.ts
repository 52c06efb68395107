import {
  CloudHSMV2Client,
  CloudHsmInvalidRequestException,
  CloudHsmResourceNotFoundException,
  CopyBackupToRegionCommand,
  CreateClusterCommand,
  CreateHsmCommand,
  DeleteBackupCommand,
  DeleteClusterCommand,
  DeleteHsmCommand,
  DescribeClustersCommand,
  InitializeClusterCommand,
  ListTagsCommand,
  ModifyBackupAttributesCommand,
  ModifyClusterCommand,
  paginateDescribeBackups,
  RestoreBackupCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-cloudhsm-v2';
import { expect } from 'chai';
import { ApiServer } from '../support/api-server.js';
import { ownerOf, subnets, TestedControlPlane } from '../support/control-plane.js';

// The acceptance list's first item (section 15 of the reference), with AWS's client as it is, its signatures checked.
describe('@aws-sdk/client-cloudhsm-v2', () => {
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a secret' };
  let api: TestedControlPlane;
  let server: ApiServer;
  let client: CloudHSMV2Client;

  before(async () => {
    api = await new TestedControlPlane().open();
    // The client's clock is the machine's.
    api.time.nowMs = () => Date.now();
    server = await ApiServer.start(api.controlPlane, {
      mode: 'strict',
      accessKeys: { AKIDEXAMPLE: { secretAccessKey: 'a secret', account: '111122223333' } },
    });
    client = new CloudHSMV2Client({ endpoint: server.endpoint, region: 'us-east-1', credentials });
  });
  after(async () => {
    client.destroy();
    await server.close();
    await api.controlPlane.close();
  });

  const describe = async (id: string) => {
    await api.settle();
    const { Clusters } = await client.send(new DescribeClustersCommand({ Filters: { clusterIds: [id] } }));
    return Clusters?.[0];
  };
  const backupsOf = async (id: string) => {
    await api.settle();
    const found = [];
    const input = { Filters: { clusterIds: [id] }, MaxResults: 1 };
    for await (const page of paginateDescribeBackups({ client, pageSize: 1 }, input))
      found.push(...page.Backups!);
    return found;
  };

  it('creates, initialises, grows, backs up, copies and deletes a cluster', async () => {
    // The client of 2023 knows no Mode.
    const created = await client.send(
      new CreateClusterCommand({ HsmType: 'hsm1.medium', SubnetIds: [...subnets] }),
    );
    const ClusterId = created.Cluster!.ClusterId!;
    expect(created.Cluster!.CreateTimestamp!.getFullYear()).to.equal(new Date().getFullYear());
    expect((await describe(ClusterId))!.State).to.equal('UNINITIALIZED');
    await client.send(new CreateHsmCommand({ ClusterId, AvailabilityZone: 'us-east-1a' }));
    const { Certificates, Hsms } = (await describe(ClusterId))!;
    const { signedCert: SignedCert, trustAnchor: TrustAnchor } = ownerOf(Certificates!.ClusterCsr!);
    await client.send(new InitializeClusterCommand({ ClusterId, SignedCert, TrustAnchor }));
    expect((await describe(ClusterId))!.State).to.equal('INITIALIZED');
    api.hsms.activate(Hsms![0]!.HsmId!);
    expect((await describe(ClusterId))!.State).to.equal('ACTIVE');
    await client.send(new CreateHsmCommand({ ClusterId, AvailabilityZone: 'us-east-1b' }));
    const active = (await describe(ClusterId))!;
    expect(active.Hsms!.map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    expect(active.Certificates!.ClusterCertificate).to.equal(SignedCert);

    const [backup, ...others] = await backupsOf(ClusterId);
    expect(others).to.have.length(1);
    const BackupId = backup!.BackupId!;
    await client.send(new ModifyBackupAttributesCommand({ BackupId, NeverExpires: true }));
    await client.send(new CopyBackupToRegionCommand({ BackupId, DestinationRegion: 'eu-west-1' }));
    const deleted = await client.send(new DeleteBackupCommand({ BackupId }));
    expect(deleted.Backup!.DeleteTimestamp!.getTime()).to.be.greaterThan(Date.now());
    await client.send(new RestoreBackupCommand({ BackupId }));

    await client.send(new TagResourceCommand({ ResourceId: ClusterId, TagList: [{ Key: 'k', Value: 'v' }] }));
    const { TagList } = await client.send(new ListTagsCommand({ ResourceId: ClusterId }));
    expect(TagList).to.deep.equal([{ Key: 'k', Value: 'v' }]);
    await client.send(new UntagResourceCommand({ ResourceId: ClusterId, TagKeyList: ['k'] }));
    const BackupRetentionPolicy = { Type: 'DAYS', Value: '30' } as const;
    await client.send(new ModifyClusterCommand({ ClusterId, BackupRetentionPolicy }));

    for (const { HsmId } of active.Hsms!) await client.send(new DeleteHsmCommand({ ClusterId, HsmId }));
    expect((await describe(ClusterId))!.Hsms).to.deep.equal([]);
    await client.send(new DeleteClusterCommand({ ClusterId }));
    expect((await describe(ClusterId))!.State).to.equal('DELETED');
  });

  it('gets its own types of errors', async () => {
    const ClusterId = 'cluster-aaaaaaaaaaa';
    const error = await client.send(new DeleteClusterCommand({ ClusterId })).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(CloudHsmResourceNotFoundException);
    expect((error as Error).message).to.equal('Cluster cluster-aaaaaaaaaaa was not found.');
    const wrong = await client.send(new DeleteClusterCommand({ ClusterId: 'x' })).catch((e: unknown) => e);
    expect(wrong).to.be.instanceOf(CloudHsmInvalidRequestException);
  });
});
