import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { ApiServer } from '../support/api-server.js';
import { ownerOf, subnets, TestedControlPlane, temporaryDirectory } from '../support/control-plane.js';

const hasAws = spawnSync('aws', ['--version']).status === 0;
const run = promisify(execFile);

// The documented commands (section 7.3 of the reference), by the AWS CLI as it is installed; its signatures are checked.
describe('the AWS CLI', function () {
  if (!hasAws) {
    it.skip('is not installed: apt-get install awscli');
    return;
  }
  this.timeout(240_000);
  let api: TestedControlPlane;
  let server: ApiServer;
  let directory: ReturnType<typeof temporaryDirectory>;

  before(async () => {
    api = await new TestedControlPlane().open();
    api.time.nowMs = () => Date.now();
    server = await ApiServer.start(api.controlPlane, {
      mode: 'strict',
      accessKeys: { AKIDEXAMPLE: { secretAccessKey: 'a secret', account: '111122223333' } },
    });
    directory = temporaryDirectory();
  });
  after(async () => {
    directory.remove();
    await server.close();
    await api.controlPlane.close();
  });

  async function aws(words: string): Promise<string> {
    const { stdout } = await run(
      'aws',
      ['--endpoint-url', server.endpoint, 'cloudhsmv2', ...words.split(' ')],
      {
        cwd: directory.path,
        env: {
          PATH: process.env['PATH'],
          HOME: directory.path,
          AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
          AWS_SECRET_ACCESS_KEY: 'a secret',
          AWS_DEFAULT_REGION: 'us-east-1',
          AWS_EC2_METADATA_DISABLED: 'true',
        },
      },
    );
    await api.settle();
    return stdout.trim();
  }

  it('creates, initialises, lists and deletes a cluster', async () => {
    // Versions of before 2024 know no --mode.
    const id = await aws(
      `create-cluster --hsm-type hsm1.medium --subnet-ids ${subnets.join(' ')} --query Cluster.ClusterId --output text`,
    );
    expect(id).to.match(/^cluster-[a-z2-7]{11}$/);
    const hsmId = await aws(
      `create-hsm --cluster-id ${id} --availability-zone us-east-1a --query Hsm.HsmId --output text`,
    );
    const csr = await aws(
      `describe-clusters --filters clusterIds=${id} --output text --query Clusters[].Certificates.ClusterCsr`,
    );
    const { signedCert, trustAnchor } = ownerOf(`${csr}\n`);
    writeFileSync(join(directory.path, 'signed.crt'), signedCert);
    writeFileSync(join(directory.path, 'ca.crt'), trustAnchor);
    const initialized = await aws(
      `initialize-cluster --cluster-id ${id} --signed-cert file://signed.crt --trust-anchor file://ca.crt --output json`,
    );
    expect(JSON.parse(initialized)).to.deep.equal({
      State: 'INITIALIZE_IN_PROGRESS',
      StateMessage: 'Cluster is initializing. State will change to INITIALIZED upon completion.',
    });
    api.hsms.activate(hsmId);
    await api.settle();
    await aws(`create-hsm --cluster-id ${id} --availability-zone us-east-1b`);
    const clusters = JSON.parse(await aws('describe-clusters --output json')) as {
      Clusters: {
        State: string;
        Hsms: { State: string; EniIp: string }[];
        CreateTimestamp: string | number;
      }[];
    };
    expect(clusters.Clusters[0]!.State).to.equal('ACTIVE');
    expect(clusters.Clusters[0]!.Hsms.map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    const paged = await aws('describe-backups --page-size 1 --query length(Backups) --output json');
    expect(paged).to.equal('2');
    const refused = await aws(`delete-cluster --cluster-id ${id}`).catch((error: Error) => error.message);
    expect(refused).to.contain('(CloudHsmInvalidRequestException) when calling the DeleteCluster operation');
    for (const { EniIp } of clusters.Clusters[0]!.Hsms)
      await aws(`delete-hsm --cluster-id ${id} --eni-ip ${EniIp}`);
    const deleted = await aws(`delete-cluster --cluster-id ${id} --query Cluster.State --output text`);
    expect(deleted).to.equal('DELETE_IN_PROGRESS');
  });
});
