import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CloudHSMV2Client,
  type Cluster,
  CreateClusterCommand,
  CreateHsmCommand,
  DescribeClustersCommand,
  InitializeClusterCommand,
} from '@aws-sdk/client-cloudhsm-v2';
import { expect } from 'chai';
import type { ConfigInput } from '../../src/base/config.js';
import { newIdentity, newStandInAuthority } from '../../src/cli/stand-in-authority.js';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import { subnets } from '../support/control-plane.js';
import { binary, cloudhsmLocal, TestEngine } from '../support/engine.js';

describe('cloudhsm-local control-plane', () => {
  let home: string;
  let child: ChildProcess | undefined;
  let client: CloudHSMV2Client | undefined;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'chl-'));
  });
  afterEach(async () => {
    client?.destroy();
    if (child?.exitCode === null) {
      child.kill('SIGINT');
      await once(child, 'exit');
    }
    rmSync(home, { recursive: true, force: true });
  });

  async function start(settings: ConfigInput = {}): Promise<CloudHSMV2Client> {
    const file = join(home, 'settings.json');
    writeFileSync(file, JSON.stringify(settings));
    child = spawn(process.execPath, [binary, 'control-plane', '--home', home, '--config', file], {
      env: { ...process.env, OPENSSL_CONF: undefined },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    const { stdout } = await cloudhsmLocal(['status', '--json', '--home', home]);
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'x' };
    client = new CloudHSMV2Client({
      endpoint: JSON.parse(stdout).endpoint,
      region: 'us-east-1',
      credentials,
    });
    return client;
  }

  async function until(holds: (cluster: Cluster) => boolean): Promise<Cluster> {
    for (;;) {
      const { Clusters } = await client!.send(new DescribeClustersCommand({}));
      if (holds(Clusters![0]!)) return Clusters![0]!;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  for (const hsmProcesses of [false, true])
    it(`has the clusters that are made, and no other, with HSMs in ${hsmProcesses ? 'processes of their own' : 'its process'}; an engine finds them on its home`, async () => {
      const api = await start({ hsmProcesses });
      expect((await api.send(new DescribeClustersCommand({}))).Clusters).to.deep.equal([]);
      const asked = new CreateClusterCommand({ HsmType: 'hsm1.medium', SubnetIds: [...subnets] });
      const { ClusterId } = (await api.send(asked)).Cluster!;
      await until(({ State }) => State === 'UNINITIALIZED');
      await api.send(new CreateHsmCommand({ ClusterId, AvailabilityZone: 'us-east-1a' }));
      const { Certificates } = await until((cluster) => cluster.Certificates!.ClusterCsr !== undefined);
      const authority = await newStandInAuthority('owner');
      const [SignedCert, TrustAnchor] = [
        await authority.answer(Certificates!.ClusterCsr!),
        authority.trustAnchor,
      ];
      await api.send(new InitializeClusterCommand({ ClusterId, SignedCert, TrustAnchor }));
      const { Hsms } = await until(({ State }) => State === 'INITIALIZED');

      const identity = { ...(await newIdentity(authority, 'client', 'client')), trustAnchor: TrustAnchor };
      const endpoint = { host: Hsms![0]!.EniIp!, port: 2223 };
      const usersThere = async (): Promise<string[]> => {
        const connection = await connectToHsm({ endpoint, identity });
        const users = await connection.send('listUsers', undefined);
        connection.close();
        return users.map(({ name }) => name);
      };
      expect(await usersThere()).to.deep.equal(['admin', 'app_user']);
      const second = await cloudhsmLocal(['up', '--home', home]);
      expect(second.code, second.stderr).to.equal(3);

      expect((await cloudhsmLocal(['down', '--home', home])).code).to.equal(0);
      const engine = await TestEngine.start(['--hsms', '3'], home);
      const { stdout } = await cloudhsmLocal(['status', '--json', '--home', home]);
      expect(JSON.parse(stdout).clusters.map(({ id }: { id: string }) => id)).to.deep.equal([ClusterId]);
      expect(await usersThere()).to.deep.equal(['admin', 'app_user']);
      await engine.stop();
    });

  it('leaves the cluster that `init` has made to its processes', async () => {
    expect((await cloudhsmLocal(['init', '--home', home])).code).to.equal(0);
    const api = await start();
    expect((await api.send(new DescribeClustersCommand({}))).Clusters).to.deep.equal([]);
    expect(existsSync(join(home, 'cluster.json'))).to.equal(true);
    expect(existsSync(join(home, 'control-plane', 'default-cluster.json'))).to.equal(false);
  });
});
