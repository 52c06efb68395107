import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ClientConfig } from '../../src/base/client-config.js';
import { cloudhsmLocal, type Ran, run, TestEngine } from '../support/engine.js';

/* The programs of an installed prefix, and the API of an engine that runs: nothing here is a stand-in. */

describe('configure-* with the API of an engine', () => {
  let engine: TestEngine;
  let prefix: string;
  let env: NodeJS.ProcessEnv;
  let cluster: { id: string; hsms: { eniIp: string }[] };

  before(async () => {
    engine = await TestEngine.start(['--hsms', '2']);
    prefix = mkdtempSync(join(tmpdir(), 'chl-prefix-'));
    const installed = await cloudhsmLocal(['install', '--prefix', prefix, '--home', engine.home]);
    expect(installed.code, installed.stderr).to.equal(0);
    const { stdout } = await cloudhsmLocal(['env', '--home', engine.home]);
    const exported = [...stdout.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]);
    env = { ...process.env, ...Object.fromEntries(exported) };
    const status = await cloudhsmLocal(['status', '--json', '--home', engine.home]);
    [cluster] = JSON.parse(status.stdout).clusters;
  });

  after(async () => {
    rmSync(prefix, { recursive: true, force: true });
    await engine.stop();
  });

  const tool = (name: string, words: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Ran> =>
    run(join(prefix, 'bin', name), words, { env: { ...env, ...more } });
  const clustersOf = (component: string) => {
    const file = join(prefix, 'etc', `cloudhsm-${component}.cfg`);
    return (JSON.parse(readFileSync(file, 'utf8')) as ClientConfig).clusters!.map((one) => one.cluster);
  };
  const addresses = (): string[] => cluster.hsms.map(({ eniIp }) => eniIp);
  const credentials = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'example-secret' };

  for (const component of ['cli', 'pkcs11', 'dyn', 'jce']) {
    it(`configure-${component} --cluster-id finds the addresses of the HSMs`, async () => {
      const configured = await tool(`configure-${component}`, ['--cluster-id', cluster.id], credentials);
      expect(configured, configured.stderr).to.deep.equal({ code: 0, stdout: '', stderr: '' });
      const [found] = clustersOf(component);
      expect(found!.cluster_id).to.equal(cluster.id);
      expect(found!.servers!.map(({ hostname }) => hostname)).to.have.members(addresses());
    });
  }

  it('cloudhsm-cli then reaches them', async () => {
    const users = await tool('cloudhsm-cli', ['user', 'list']);
    expect(users.code, users.stderr).to.equal(0);
    expect(users.stdout).to.contain('"cluster-coverage": "full"');
  });

  it('takes the endpoint and the region from its words, and complains of another region', async () => {
    const endpoint = env['AWS_ENDPOINT_URL_CLOUDHSM_V2']!;
    const without = { ...credentials, AWS_ENDPOINT_URL_CLOUDHSM_V2: undefined, AWS_REGION: undefined };
    const words = ['--cluster-id', cluster.id, '--endpoint', endpoint, '--region'];
    const right = await tool('configure-cli', [...words, 'us-east-1'], without);
    expect(right.code, right.stderr).to.equal(0);
    const wrong = await tool('configure-cli', [...words, 'eu-west-1'], without);
    expect(wrong.code).to.equal(1);
    expect(wrong.stderr).to.contain(`no cluster ${cluster.id} in eu-west-1`);
  });

  it('adds and removes the cluster', async () => {
    const added = await tool('configure-pkcs11', ['add-cluster', '--cluster-id', cluster.id], credentials);
    expect(added.code, added.stderr).to.equal(0);
    expect(clustersOf('pkcs11').map(({ cluster_id: id }) => id)).to.deep.equal([cluster.id]);
    expect((await tool('configure-pkcs11', ['remove-cluster', '--cluster-id', cluster.id])).code).to.equal(0);
  });

  it('says what the API says of a cluster that there is not', async () => {
    const before = clustersOf('cli');
    const none = await tool('configure-cli', ['--cluster-id', 'cluster-aaaaaaaaaaa'], credentials);
    expect(none.code).to.equal(1);
    expect(none.stderr).to.contain('cluster-aaaaaaaaaaa').and.not.to.contain('example-secret');
    expect(clustersOf('cli')).to.deep.equal(before);
  });

  it('shows nothing of a name and a password in the endpoint', async () => {
    const words = ['--cluster-id', cluster.id, '--endpoint', 'http://someone:hidden@127.0.0.1:1/'];
    const refused = await tool('configure-cli', words, credentials);
    expect(refused.code).to.equal(1);
    expect(refused.stderr).to.contain('the endpoint has a name or a password in it');
    expect(refused.stderr).not.to.match(/someone|hidden/);
  });

  it('shows what the API answers, and reads no answer without end', async () => {
    const answers: [number, string][] = [
      [400, JSON.stringify({ __type: 'CloudHsmAccessDeniedException', Message: 'Not today.' })],
      [200, 'x'.repeat(2 * 1024 * 1024)],
    ];
    const said: string[] = [];
    for (const [status, body] of answers) {
      const server = createServer((_, response) => response.writeHead(status).end(body)).listen(
        0,
        '127.0.0.1',
      );
      await once(server, 'listening');
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const words = ['--cluster-id', cluster.id, '--endpoint', endpoint];
      said.push((await tool('configure-cli', words, credentials)).stderr);
      server.close();
    }
    expect(said[0]).to.contain('status 400 CloudHsmAccessDeniedException Not today.');
    expect(said[1]).to.contain('it answers more than 1048576 bytes');
  });

  it('reads profiles from files only: /dev/null and a folder have none', async () => {
    for (const file of ['/dev/null', prefix]) {
      const more = { ...credentials, AWS_CONFIG_FILE: file, AWS_SHARED_CREDENTIALS_FILE: file };
      const configured = await tool('configure-cli', ['--cluster-id', cluster.id], more);
      expect(configured.code, configured.stderr).to.equal(0);
    }
  });

  it('takes credentials and region from a profile', async () => {
    const file = join(prefix, 'credentials');
    const lines = ['[test]', 'aws_access_key_id = AKIDEXAMPLE', 'aws_secret_access_key = example-secret'];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const profile = { AWS_PROFILE: 'test', AWS_SHARED_CREDENTIALS_FILE: file };
    const bare = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    const configured = await tool('configure-cli', ['--cluster-id', cluster.id], { ...bare, ...profile });
    expect(configured.code, configured.stderr).to.equal(0);
  });
});
