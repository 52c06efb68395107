import {
  CloudHSMV2Client,
  type Cluster,
  CreateClusterCommand,
  CreateHsmCommand,
  DeleteClusterCommand,
  DeleteHsmCommand,
  DescribeClustersCommand,
  type Hsm,
  ListTagsCommand,
  paginateDescribeClusters,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-cloudhsm-v2';
import { expect } from 'chai';
import { ApiServer } from '../support/api-server.js';
import { subnets, TestedControlPlane } from '../support/control-plane.js';

/*
 * The calls that Terraform's resources aws_cloudhsm_v2_cluster and aws_cloudhsm_v2_hsm make to create, wait, read and
 * delete, in their order, with what they look at (section 10 of the reference).
 */
describe('the sequence of calls that Terraform makes', () => {
  let api: TestedControlPlane;
  let server: ApiServer;
  let client: CloudHSMV2Client;

  before(async () => {
    api = await new TestedControlPlane().open();
    server = await ApiServer.start(api.controlPlane);
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'x' };
    client = new CloudHSMV2Client({ endpoint: server.endpoint, region: 'us-east-1', credentials });
  });
  after(async () => {
    client.destroy();
    await server.close();
    await api.controlPlane.close();
  });

  /** It polls: any state that is neither pending nor the target is an error. */
  async function waitFor(
    pending: readonly string[],
    target: string,
    look: () => Promise<string>,
  ): Promise<void> {
    for (;;) {
      const state = await look();
      if (state === target) return;
      expect(pending, `unexpected state ${state}`).to.contain(state);
      await api.settle();
    }
  }

  async function findCluster(id: string): Promise<Cluster | undefined> {
    const input = { Filters: { clusterIds: [id] } };
    const found: Cluster[] = [];
    for await (const page of paginateDescribeClusters({ client }, input)) found.push(...page.Clusters!);
    expect(found.length).to.be.at.most(1);
    return found[0]?.State === 'DELETED' ? undefined : found[0];
  }

  /** All clusters, without a filter: an HSM is looked for by id or by ENI. */
  async function findHsm(hsmId: string, eniId: string): Promise<Hsm | undefined> {
    for await (const page of paginateDescribeClusters({ client, pageSize: 1 }, {}))
      for (const { Hsms } of page.Clusters!)
        for (const hsm of Hsms!) if (hsm.HsmId === hsmId || hsm.EniId === eniId) return hsm;
    return undefined;
  }

  it('creates, reads, changes and deletes a cluster and its HSM', async () => {
    await api.newCluster({ SubnetIds: ['subnet-0aaaaaaa'] });
    const TagList = [{ Key: 'Name', Value: 'test' }];
    const created = await client.send(
      new CreateClusterCommand({ HsmType: 'hsm1.medium', SubnetIds: [...subnets], TagList }),
    );
    const ClusterId = created.Cluster!.ClusterId!;
    expect(ClusterId).to.match(/^cluster-.+/);
    const pending = ['CREATE_IN_PROGRESS', 'INITIALIZE_IN_PROGRESS'];
    await waitFor(pending, 'UNINITIALIZED', async () => (await findCluster(ClusterId))!.State!);

    const cluster = (await findCluster(ClusterId))!;
    expect(cluster.SecurityGroup).to.match(/^sg-.+/);
    expect(Object.values(cluster.SubnetMapping!)).to.have.members([...subnets]);
    expect(cluster.TagList).to.deep.equal(TagList);
    const ResourceId = ClusterId;
    await client.send(new UntagResourceCommand({ ResourceId, TagKeyList: ['Name'] }));
    await client.send(new TagResourceCommand({ ResourceId, TagList: [{ Key: 'key1', Value: 'value1' }] }));
    expect((await client.send(new ListTagsCommand({ ResourceId }))).TagList).to.have.length(1);

    const [AvailabilityZone] = Object.entries(cluster.SubnetMapping!).find(([, id]) => id === subnets[0])!;
    const { Hsm } = await client.send(new CreateHsmCommand({ ClusterId, AvailabilityZone }));
    // Its matcher takes an HSM without ENI for any HSM.
    expect(Hsm!.EniId).to.match(/^eni-[0-9a-f]+$/);
    const HsmId = Hsm!.HsmId!;
    await waitFor(['CREATE_IN_PROGRESS'], 'ACTIVE', async () => (await findHsm(HsmId, ''))!.State!);
    expect(await findHsm('', Hsm!.EniId!)).to.include({ HsmId, AvailabilityZone, SubnetId: subnets[0] });
    expect(Object.keys((await findCluster(ClusterId))!.Certificates!)).to.have.length(4);

    await client.send(new DeleteHsmCommand({ ClusterId, HsmId }));
    await waitFor(['DELETE_IN_PROGRESS'], 'gone', async () => (await findHsm(HsmId, ''))?.State ?? 'gone');
    await client.send(new DeleteClusterCommand({ ClusterId }));
    await waitFor(
      ['DELETE_IN_PROGRESS'],
      'gone',
      async () => (await findCluster(ClusterId))?.State ?? 'gone',
    );
    const again = await client.send(new DeleteClusterCommand({ ClusterId })).catch((error: Error) => error);
    expect((again as Error).name).to.equal('CloudHsmResourceNotFoundException');
    const { Clusters } = await client.send(new DescribeClustersCommand({ MaxResults: 1 }));
    expect(Clusters).to.have.length(1);
  });
});
