import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CloudHSMV2Client,
  type Cluster,
  CopyBackupToRegionCommand,
  CreateClusterCommand,
  CreateHsmCommand,
  DeleteClusterCommand,
  DeleteHsmCommand,
  DescribeBackupsCommand,
  DescribeClustersCommand,
  InitializeClusterCommand,
  ModifyClusterCommand,
  type ModifyClusterCommandInput,
} from '@aws-sdk/client-cloudhsm-v2';
import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import type { ReadinessReport } from '../../src/cli/report.js';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import { RemoteCluster } from '../../src/cluster/remote-cluster.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { openssl, subnets, temporaryDirectory } from '../support/control-plane.js';
import { cloudhsmLocal, run, TestEngine } from '../support/engine.js';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'x' };
const PASSWORD = 'a new password';

interface Status {
  readonly endpoint: string;
  readonly clusters: { id: string; hsms: { id: string; eniIp: string; port: number }[] }[];
}

// The documented path with HSMs that work: create, sign, initialise, activate, use, back up, delete, restore.
for (const hsmProcesses of [false, true])
  describe(`the API of an engine, with HSMs in ${hsmProcesses ? 'processes of their own' : 'its process'}`, () =>
    theDocumentedPath(hsmProcesses)).timeout(120_000);

function theDocumentedPath(hsmProcesses: boolean): void {
  let engine: TestEngine;
  let client: CloudHSMV2Client;
  let directory: ReturnType<typeof temporaryDirectory>;

  const status = async (): Promise<Status> =>
    JSON.parse((await cloudhsmLocal(['status', '--json', '--home', engine.home])).stdout) as Status;
  const connectClient = async (): Promise<void> => {
    const { endpoint } = await status();
    client = new CloudHSMV2Client({ endpoint, region: 'us-east-1', credentials });
  };

  before(async () => {
    directory = temporaryDirectory();
    engine = await TestEngine.startWith({ hsmProcesses });
    await connectClient();
  });
  after(async () => {
    client.destroy();
    await engine.stop();
    directory.remove();
  });

  const read = (name: string): string => readFileSync(join(directory.path, name), 'utf8');
  const inShell = (words: string): string => openssl(directory.path, ...words.split(' '));

  async function describeCluster(id: string): Promise<Cluster> {
    const { Clusters } = await client.send(new DescribeClustersCommand({ Filters: { clusterIds: [id] } }));
    return Clusters![0]!;
  }

  /** Polls, as everybody does. */
  async function until(id: string, holds: (cluster: Cluster) => boolean): Promise<Cluster> {
    for (;;) {
      const cluster = await describeCluster(id);
      if (holds(cluster)) return cluster;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const allActive = ({ Hsms }: Cluster): boolean => Hsms!.every(({ State }) => State === 'ACTIVE');

  /** Signs the CSR, and a client's certificate, with an authority of the test's own. */
  function becomeOwner(csr: string): TlsIdentity {
    writeFileSync(join(directory.path, 'cluster.csr'), csr);
    inShell('req -newkey rsa:2048 -nodes -keyout ca.key -x509 -days 3652 -out ca.crt -subj /CN=owner');
    inShell('req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=client');
    for (const name of ['cluster', 'client'])
      inShell(
        `x509 -req -days 365 -in ${name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out ${name}.crt`,
      );
    return {
      certificate: read('client.crt'),
      privateKey: read('client.key'),
      trustAnchor: read('ca.crt'),
    };
  }

  const secretKey = [
    attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
    attribute(CKA.CKA_KEY_TYPE, CKK.CKK_AES),
    attribute(CKA.CKA_VALUE_LEN, 32),
    attribute(CKA.CKA_TOKEN, true),
    attribute(CKA.CKA_LABEL, 'kept'),
    attribute(CKA.CKA_ID, Buffer.from('kept')),
    attribute(CKA.CKA_ENCRYPT, true),
    attribute(CKA.CKA_DECRYPT, true),
  ];
  const byLabel = { template: [attribute(CKA.CKA_LABEL, 'kept')] };

  let ClusterId: string;
  let identity: TlsIdentity;

  const endpointOf = ({ Hsms }: Cluster) => ({ host: Hsms![0]!.EniIp!, port: 2223 });

  async function keysOf(cluster: Cluster): Promise<number> {
    const connection = await connectToHsm({ endpoint: endpointOf(cluster), identity });
    await connection.send('login', { name: 'user', password: PASSWORD, role: 'CU' });
    const found = (await connection.send('findObjects', byLabel)) as readonly number[];
    connection.close();
    return found.length;
  }

  it('makes a cluster whose owner activates it, with AWS’s client and openssl', async () => {
    const { Cluster: created } = await client.send(
      new CreateClusterCommand({ HsmType: 'hsm1.medium', SubnetIds: [...subnets] }),
    );
    ClusterId = created!.ClusterId!;
    await until(ClusterId, ({ State }) => State === 'UNINITIALIZED');
    await client.send(new CreateHsmCommand({ ClusterId, AvailabilityZone: 'us-east-1a' }));
    const { Certificates } = await until(ClusterId, (c) => c.Certificates!.ClusterCsr !== undefined);
    identity = becomeOwner(Certificates!.ClusterCsr!);
    const [SignedCert, TrustAnchor] = [read('cluster.crt'), identity.trustAnchor];
    await client.send(new InitializeClusterCommand({ ClusterId, SignedCert, TrustAnchor }));
    const initialized = await until(ClusterId, ({ State }) => State === 'INITIALIZED');

    const connection = await connectToHsm({ endpoint: endpointOf(initialized), identity });
    await connection.send('login', { name: 'admin', password: 'password', role: 'PRECO' });
    await connection.send('changePassword', { name: 'admin', role: 'PRECO', password: PASSWORD });
    await until(ClusterId, ({ State }) => State === 'ACTIVE');
    await connection.send('createUser', { name: 'user', role: 'CU', password: PASSWORD });
    connection.close();
  });

  it('reports that AWS creates no clusters of hsm1.medium any more', async () => {
    const { stdout } = await cloudhsmLocal(['report', '--json', '--home', engine.home]);
    const [line, ...others] = (JSON.parse(stdout) as ReadinessReport).deviations;
    expect(others).to.deep.equal([]);
    expect(line).to.include({
      id: 'hsm1-cluster',
      call: 'CreateCluster',
      program: 'aws-sdk-js',
      cloudhsm: 'CloudHsmInvalidRequestException',
    });
  });

  it('takes nobody for an HSM because of what its owner certifies', async () => {
    const { HsmId } = (await describeCluster(ClusterId)).Hsms![0]!;
    writeFileSync(join(directory.path, 'hsm.ext'), 'extendedKeyUsage=serverAuth,clientAuth');
    inShell(`req -newkey rsa:2048 -nodes -keyout hsm.key -out hsm.csr -subj /CN=${HsmId}`);
    inShell(
      'x509 -req -days 365 -in hsm.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile hsm.ext -out hsm.crt',
    );
    const asHsm = { ...identity, certificate: read('hsm.crt'), privateKey: read('hsm.key') };
    const endpoint = endpointOf(await describeCluster(ClusterId));
    const connection = await connectToHsm({ endpoint, identity: asHsm });
    const asked = codeOf(() => connection.send('objectDigests', undefined));
    expect(await asked).to.equal('CKR_USER_NOT_LOGGED_IN');
    connection.close();
  });

  it('lets programs use it over TLS while an HSM comes and another one goes', async () => {
    const remote = await RemoteCluster.open({
      servers: [endpointOf(await describeCluster(ClusterId))],
      identity,
      log: silentLog,
    });
    const program = remote.connect();
    await program.login('user', PASSWORD);
    const first = await describeCluster(ClusterId);
    await client.send(new CreateHsmCommand({ ClusterId, AvailabilityZone: 'us-east-1b' }));
    await until(ClusterId, (cluster) => cluster.Hsms!.length === 2 && allActive(cluster));
    while (remote.members.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    // A client that knows of the second HSM may still be on its way there: then the key is on too few.
    for (let handle: number | undefined; handle === undefined; )
      handle = await Promise.resolve(program.generateKey(CKM.CKM_AES_KEY_GEN, secretKey)).catch(
        () => undefined,
      );
    await client.send(new DeleteHsmCommand({ ClusterId, HsmId: first.Hsms![0]!.HsmId! }));
    await until(ClusterId, ({ Hsms }) => Hsms!.length === 1);
    while (remote.members.length > 1) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await program.findObjects(byLabel.template)).to.have.length(1);
    program.close();
    remote.close();
  });

  it('offers it to programs of this machine as a slot more', async () => {
    const listed = await run('pkcs11-tool', ['--module', engine.env['PKCS11_MODULE_PATH']!, '-L'], {
      env: engine.env,
    });
    if (listed.code === -1) return;
    expect(listed.stdout.match(/^Slot /gm)).to.have.length(2);
  });

  it('gives an HSM that comes after all were deleted what the last one had', async () => {
    const { Hsms } = await describeCluster(ClusterId);
    await client.send(new DeleteHsmCommand({ ClusterId, HsmId: Hsms![0]!.HsmId! }));
    await until(ClusterId, (cluster) => cluster.Hsms!.length === 0);
    await client.send(new CreateHsmCommand({ ClusterId, AvailabilityZone: 'us-east-1a' }));
    expect(await keysOf(await until(ClusterId, (c) => c.Hsms!.length === 1 && allActive(c)))).to.equal(1);
  });

  it('replaces an HSM that was tampered with by one with the same ENI', async () => {
    const [before] = (await describeCluster(ClusterId)).Hsms!;
    const failed = await cloudhsmLocal(['fault', before!.HsmId!, 'tamper', '--home', engine.home]);
    expect(failed.code, failed.stderr).to.equal(0);
    const replaced = await until(
      ClusterId,
      (cluster) =>
        cluster.Hsms!.length === 1 && allActive(cluster) && cluster.Hsms![0]!.HsmId !== before!.HsmId,
    );
    const { EniId, EniIp } = replaced.Hsms![0]!;
    expect({ EniId, EniIp }).to.deep.equal({ EniId: before!.EniId, EniIp: before!.EniIp });
    expect(await keysOf(replaced)).to.equal(1);
  });

  it('is there again after a restart, at the same address, with all it had', async () => {
    const before = await status();
    const cluster = await describeCluster(ClusterId);
    await engine.kill();
    await engine.restart();
    expect(await status()).to.deep.include({ endpoint: before.endpoint, clusters: before.clusters });
    expect(await describeCluster(ClusterId)).to.deep.equal(cluster);
    expect(await keysOf(cluster)).to.equal(1);
  });

  it('clones it in another region, under the same certificate', async () => {
    const { Backups } = await client.send(new DescribeBackupsCommand({}));
    const BackupId = Backups![0]!.BackupId!;
    await client.send(new CopyBackupToRegionCommand({ BackupId, DestinationRegion: 'eu-west-1' }));
    const { endpoint } = await status();
    const east = client;
    client = new CloudHSMV2Client({ endpoint, region: 'eu-west-1', credentials });
    let copy: string | undefined;
    while (copy === undefined) {
      const Filters = { sourceBackupIds: [BackupId], states: ['READY'] };
      copy = (await client.send(new DescribeBackupsCommand({ Filters }))).Backups![0]?.BackupId;
    }
    const { Cluster: created } = await client.send(
      new CreateClusterCommand({
        HsmType: 'hsm1.medium',
        SubnetIds: ['subnet-0ccccccc'],
        SourceBackupId: copy,
      }),
    );
    const id = created!.ClusterId!;
    expect(created!.Certificates!.ClusterCertificate).to.equal(read('cluster.crt'));
    await until(id, ({ State }) => State === 'ACTIVE');
    await client.send(new CreateHsmCommand({ ClusterId: id, AvailabilityZone: 'eu-west-1a' }));
    const clone = await until(id, (cluster) => cluster.Hsms!.length === 1 && allActive(cluster));
    expect(await keysOf(clone)).to.equal(1);
    await client.send(new DeleteHsmCommand({ ClusterId: id, HsmId: clone.Hsms![0]!.HsmId! }));
    await until(id, ({ Hsms }) => Hsms!.length === 0);
    await client.send(new DeleteClusterCommand({ ClusterId: id }));
    client.destroy();
    client = east;
  });

  it('changes its type of HSM, with the keys that are there', async () => {
    const before = await describeCluster(ClusterId);
    // Members that this version of AWS's client does not know are sent all the same.
    const input = { ClusterId, HsmType: 'hsm2m.medium' } as unknown as ModifyClusterCommandInput;
    const { Cluster: changing } = await client.send(new ModifyClusterCommand(input));
    expect(changing).to.include({ State: 'MODIFY_IN_PROGRESS', HsmType: 'hsm2m.medium' });
    const after = await until(ClusterId, ({ State }) => State === 'ACTIVE');
    const addresses = ({ Hsms }: Cluster) => Hsms!.map(({ EniId, EniIp }) => [EniId, EniIp]);
    expect(addresses(after)).to.deep.equal(addresses(before));
    expect(after.Hsms![0]!.HsmId).not.to.equal(before.Hsms![0]!.HsmId);
    expect(await keysOf(after)).to.equal(1);
  });

  // What has nothing to do with where HSMs run.
  if (hsmProcesses) return;

  it('lists its backups and where they are', async () => {
    const { stdout } = await cloudhsmLocal(['backups', '--json', '--home', engine.home]);
    const listed = JSON.parse(stdout) as { id: string; state: string; region: string; place?: string }[];
    const { Backups } = await client.send(new DescribeBackupsCommand({}));
    const ready = Backups!.filter(({ BackupState }) => BackupState === 'READY');
    expect(ready).to.not.deep.equal([]);
    for (const { BackupId } of ready) {
      const { state, region, place } = listed.find(({ id }) => id === BackupId)!;
      expect({ state, region }).to.deep.equal({ state: 'READY', region: 'us-east-1' });
      expect(readFileSync(place!).toString('latin1', 0, 8)).to.equal('CHSMARC1');
    }
    const page = await cloudhsmLocal(['backups', '--home', engine.home]);
    expect(page.stdout).to.match(/^BACKUP +STATE +CLUSTER/);
  });

  it('is told to programs by `env`, and its roots to whoever asks', async () => {
    const { stdout } = await cloudhsmLocal(['env', '--home', engine.home]);
    const { endpoint } = await status();
    expect(stdout).to.contain(`export AWS_ENDPOINT_URL_CLOUDHSM_V2='${endpoint}'`);
    const answer = await fetch(`${endpoint}/AWS_CloudHSM_Root-G1.crt`);
    expect(await answer.text()).to.match(/^-----BEGIN CERTIFICATE-----/);
  });

  it('tells of its backups when the engine has ended, too', async () => {
    const listed = async (...options: string[]) =>
      cloudhsmLocal(['backups', '--json', '--home', engine.home, ...options]);
    const running = await listed();
    await engine.kill();
    const stopped = await listed();
    expect(stopped.code, stopped.stderr).to.equal(0);
    expect(JSON.parse(stopped.stdout)).to.deep.equal(JSON.parse(running.stdout));
    const config = join(directory.path, 's3.json');
    writeFileSync(config, JSON.stringify({ backups: { s3: { bucket: 'kept' } } }));
    const [first] = JSON.parse((await listed('--config', config)).stdout) as { place: string }[];
    expect(first!.place).to.match(/^s3:\/\/kept\//);
    const elsewhere = await cloudhsmLocal(['backups', '--home', join(engine.home, 'nowhere')]);
    expect(elsewhere.code).to.equal(4);
    await engine.restart();
  });
}
