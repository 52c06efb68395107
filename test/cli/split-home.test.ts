import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readServers } from '../../src/cli/servers.js';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import { codeOf } from '../support/codes.js';
import { cloudhsmLocal } from '../support/engine.js';
import { until } from '../support/network.js';
import { SplitCluster } from '../support/split.js';
import { TestAuthority } from '../support/tls.js';

describe('a home whose HSMs run in processes of their own', function () {
  this.timeout(120_000);
  let split: SplitCluster;

  before(async () => {
    split = await SplitCluster.start(2);
  });

  after(() => split.stop());

  const succeeds = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cloudhsmLocal([...words, '--home', split.home]);
    expect(code, stderr).to.equal(0);
    return stdout;
  };
  const status = async () => JSON.parse(await succeeds('status', '--json'));

  it('has one status, with the HSMs that do not run', async () => {
    const { pid, clusters } = await status();
    expect(pid).to.equal(null);
    expect(clusters).to.have.length(1);
    const states = () => clusters[0].hsms.map(({ state }: { state: string }) => state);
    expect(states()).to.deep.equal(['ACTIVE', 'ACTIVE']);
    const [first] = split.ids;
    await split.kill(first!);
    const [{ hsms }] = (await status()).clusters;
    expect(hsms.find(({ id }: { id: string }) => id === first)).to.include({ state: 'STOPPED', users: null });
    await split.restart(first!);
  });

  it('says which users differ, and nothing while none does', async () => {
    expect((await status()).clusters[0].differingUsers).to.deep.equal([]);
    const { eniIp: host, port } = (await status()).clusters[0].hsms[0];
    const officer = await connectToHsm({ endpoint: { host, port }, identity: split.identity('client') });
    const { admin } = JSON.parse(readFileSync(join(split.home, 'credentials.json'), 'utf8'));
    await officer.send('login', { ...admin, role: 'CO' });
    await officer.send('createUser', { name: 'alice', role: 'CU', password: 'only-on-one-hsm' });
    officer.close();
    expect((await status()).clusters[0].differingUsers).to.deep.equal(['alice']);
    expect(await succeeds('status')).to.contain('users that differ between the HSMs: alice');
    await split.startClient();
    // It learns of the second HSM from the first.
    await until(async () => (await split.ask('/status')).clusters[0].differingUsers.length > 0);
    expect((await split.ask('/status')).clusters[0].differingUsers).to.deep.equal(['alice']);
    await split.endClient();
  });

  it('has a client whose home tells programs what to load, but no PIN', async () => {
    await split.startClient();
    const { code, stdout } = await cloudhsmLocal(['env', '--home', split.clientHome]);
    expect(code).to.equal(0);
    expect(stdout).to.contain(`CLOUDHSM_LOCAL_HOME='${split.clientHome}'`).and.contain('PKCS11_MODULE_PATH=');
    expect(stdout).not.to.contain('PIN');
    await split.endClient();
  });

  it('has the audit logs of HSMs that run and of one that does not', async () => {
    const [first] = split.ids;
    await split.kill(first!);
    const logs = JSON.parse(await succeeds('logs', '--json'));
    expect(logs.map(({ hsmId }: { hsmId: string }) => hsmId)).to.have.members(split.ids);
    for (const { records } of logs) expect(records[0].opcode).to.equal('CN_INIT_TOKEN');
    for (const { problem } of JSON.parse(await succeeds('logs', '--verify', '--json')))
      expect(problem).to.equal(undefined);
    await split.restart(first!);
  });

  it("has one page of metrics, with each metric's samples together", async () => {
    const page = await succeeds('metrics');
    for (const name of ['HsmUnhealthy', 'HsmSessionCount']) {
      expect(page.match(new RegExp(`^# HELP ${name} `, 'gm'))).to.have.length(1);
      const samples = page.match(new RegExp(`^# TYPE ${name} gauge\n((?:${name}\\{.*\n)+)`, 'm'));
      for (const id of split.ids) expect(samples?.[1]).to.contain(`HsmId="${id}"`);
    }
  });

  it('has its HSMs made to fail and healed by any of their ids, and their metrics say so', async () => {
    const [, second] = split.ids;
    await succeeds('fault', second!, 'throttled');
    const { hsms } = (await status()).clusters[0];
    expect(hsms.find(({ id }: { id: string }) => id === second)).to.include({
      state: 'DEGRADED',
      condition: 'throttled',
    });
    expect(await succeeds('metrics')).to.match(new RegExp(`^HsmUnhealthy\\{.*${second}"\\} 1$`, 'm'));
    await succeeds('heal', second!);
    expect(await succeeds('metrics')).to.match(new RegExp(`^HsmUnhealthy\\{.*${second}"\\} 0$`, 'm'));
  });

  it('has the HSM named that does not run, or that it has not got', async () => {
    const [first, second] = split.ids;
    const refused = async (hsmId: string): Promise<string> => {
      const { code, stderr } = await cloudhsmLocal(['fault', hsmId, 'slow', '--home', split.home]);
      return `${code} ${stderr}`;
    };
    const all = `${first}, ${second}`;
    for (const id of ['hsm-aaaaaaaaaaa', '../engine'])
      expect(await refused(id)).to.equal(`6 cloudhsm-local: there is no HSM ${id} here: there are ${all}\n`);
    await split.kill(second!);
    expect(await refused(second!)).to.match(new RegExp(`^4 cloudhsm-local: ${second} of .* does not run: `));
    await split.restart(second!);
  });

  it('has a client that ends when one of several clusters cannot be reached', async () => {
    const config = JSON.parse(readFileSync(join(split.home, 'certificates', 'cloudhsm-pkcs11.cfg'), 'utf8'));
    const [reached] = config.clusters;
    const nowhere = { ...reached.cluster, servers: [{ hostname: '127.0.0.1', port: 1 }] };
    const servers = join(split.clientHome, 'two.cfg');
    writeFileSync(servers, JSON.stringify({ clusters: [reached, { ...reached, cluster: nowhere }] }));
    const { code, stderr } = await cloudhsmLocal([
      ...['client', '--servers', servers, '--wait', '1'],
      ...['--home', split.clientHome],
    ]);
    expect(code, stderr).to.equal(5);
    expect(stderr).to.match(/no HSM listens yet, waiting 1 s at most: the HSM at 127\.0\.0\.1:1 cannot/);
  });

  it('has a client that waits for its first HSM', async () => {
    for (const id of split.ids) await split.kill(id);
    const started = split.startClient();
    const log = join(split.clientHome, 'logs', 'engine.log');
    await until(
      () => existsSync(log) && readFileSync(log, 'utf8').includes('waiting for an HSM: the HSM at'),
    );
    for (const id of split.ids) await split.restart(id);
    await started;
    expect((await split.ask('/status')).clusters[0].id).to.equal(split.cluster.id);
    await split.endClient();
  });

  it('has a client that waits for no HSM whose certificate it does not trust', async () => {
    const identity = await (await TestAuthority.make()).identity('client');
    const pem = (name: string, text: string): string => {
      writeFileSync(join(split.clientHome, name), text);
      return join(split.clientHome, name);
    };
    const [{ cluster }] = JSON.parse(
      readFileSync(join(split.home, 'certificates', 'cloudhsm-pkcs11.cfg'), 'utf8'),
    ).clusters;
    const servers = pem(
      'other.cfg',
      JSON.stringify({
        clusters: [
          {
            type: 'hsm1',
            cluster: {
              ...cluster,
              hsm_ca_file: pem('ca.crt', identity.trustAnchor),
              client_cert_path: pem('client.crt', identity.certificate),
              client_key_path: pem('client.key', identity.privateKey),
            },
          },
        ],
      }),
    );
    const words = ['client', '--servers', servers, '--home', split.clientHome];
    const { code, stderr } = await cloudhsmLocal(words);
    expect(code, stderr).to.equal(5);
    expect(stderr).to.include('no HSM can be reached').and.not.include('waiting');
  });

  it('says of an HSM that hangs that it does not answer, and of the others what they say', async () => {
    const [first, second] = split.ids;
    const pid = split.pid(second!);
    process.kill(pid, 'SIGSTOP');
    try {
      const [{ hsms }] = (await status()).clusters;
      const states = hsms.map(({ id, state }: { id: string; state: string }) => [id, state]);
      expect(Object.fromEntries(states)).to.deep.equal({ [first!]: 'ACTIVE', [second!]: 'STOPPED' });
      const { code, stderr } = await cloudhsmLocal(['heal', second!, '--home', split.home]);
      expect(stderr).to.match(/^cloudhsm-local: what runs on .* has not answered within 5 s: /);
      expect(code).to.equal(3);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await succeeds('heal', second!);
  });

  it('starts no engine and no second process beside them, and is neither ended nor forgotten in part', async () => {
    for (const words of [['up'], ['hsm', split.ids[0]!]]) {
      const { code, stderr } = await cloudhsmLocal([...words, '--home', split.home]);
      expect(code, stderr).to.equal(3);
    }
    await succeeds('down');
    expect((await cloudhsmLocal(['status', '--home', split.home])).code).to.equal(4);
    for (const id of split.ids) await split.restart(id);
    expect((await status()).clusters[0].hsms).to.have.length(2);
    await succeeds('reset');
    expect((await cloudhsmLocal(['status', '--home', split.home])).code).to.equal(4);
  });
});

describe('where a client finds its HSMs', () => {
  let folder: string;
  let identity: TlsIdentity;

  before(async () => {
    identity = await (await TestAuthority.make()).identity('client');
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
    writeFileSync(path('ca.crt'), identity.trustAnchor);
    writeFileSync(path('client.crt'), identity.certificate);
    writeFileSync(path('client.key'), identity.privateKey);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const file = (config: object): string => {
    const path = join(folder, 'config.cfg');
    writeFileSync(path, JSON.stringify(config));
    return path;
  };
  const path = (name: string): string => join(folder, name);

  it("is in SDK 3's cloudhsm_client.cfg: an HSM, the certificates, and on how many HSMs a key must be", () => {
    const config = {
      client: { create_object_minimum_nodes: 2, e2e_owner_crt_path: path('ca.crt'), daemon_id: 1 },
      loadbalance: { enable: 'yes' },
      server: { hostname: '10.10.4.20', port: 2223 },
      ssl: { certificate: path('client.crt'), pkey: path('client.key'), server_ssl: 'yes' },
    };
    expect(readServers(file(config))).to.deep.equal([
      {
        servers: [{ name: '10.10.4.20', host: '10.10.4.20', port: 2223 }],
        identity,
        client: { minimumNodes: 2 },
        availabilityCheck: false,
      },
    ]);
  });

  it("is in SDK 5's cloudhsm-pkcs11.cfg: servers that are enabled, and the certificates, for each cluster", () => {
    const cluster = {
      hsm_ca_file: path('ca.crt'),
      client_cert_path: path('client.crt'),
      client_key_path: path('client.key'),
      servers: [{ hostname: '10.0.0.9' }, { hostname: '10.0.0.10', port: 2224, enable: false }],
      options: { default_retry_mode: 'off' },
    };
    const [found] = readServers(file({ clusters: [{ type: 'hsm1', cluster }] }));
    expect(found).to.deep.equal({
      servers: [{ name: '10.0.0.9', host: '10.0.0.9', port: 2223 }],
      identity,
      client: { retries: false },
      availabilityCheck: true,
    });
  });

  it('is with the files that belong together: the one that is something else is named', async () => {
    const other = await (await TestAuthority.make()).identity('client');
    writeFileSync(path('other.key'), other.privateKey);
    const refusal = (certificate: string, pkey: string, anchor: string): string => {
      const ssl = { certificate: path(certificate), pkey: path(pkey) };
      const client = { e2e_owner_crt_path: path(anchor) };
      try {
        readServers(file({ client, ssl, server: { hostname: '10.0.0.9' } }));
        return 'taken';
      } catch (error) {
        return (error as Error).message;
      }
    };
    const notItsKey = (key: string) => `${path(key)} is not the private key of ${path('client.crt')}`;
    expect(refusal('client.key', 'client.crt', 'ca.crt')).to.equal(
      `${path('client.key')} has no certificate in PEM`,
    );
    expect(refusal('client.crt', 'other.key', 'ca.crt')).to.equal(notItsKey('other.key'));
    expect(refusal('client.crt', 'ca.crt', 'ca.crt')).to.equal(notItsKey('ca.crt'));
    expect(refusal('client.crt', 'client.key', 'client.key')).to.equal(
      `${path('client.key')} has no certificate in PEM`,
    );
    writeFileSync(
      path('client.crt'),
      `Certificate:\n    Data: as openssl x509 -text has it\n${identity.certificate}`,
    );
    expect(refusal('client.crt', 'client.key', 'ca.crt')).to.equal('taken');
  });

  for (const [what, config] of [
    ['names no cluster', {}],
    [
      'enables no server',
      { clusters: [{ cluster: { servers: [{ hostname: '10.0.0.9', enable: false }] } }] },
    ],
    ['was never configured', { clusters: [{ cluster: { servers: [{ hostname: '%%HSM_IP_ADDRESS%%' }] } }] }],
    ['has a server without a name', { server: {} }],
    ['names certificates that are not there', { server: { hostname: 'a' }, ssl: { certificate: '/no.crt' } }],
  ] as const) {
    it(`is refused in a file that ${what}`, async () => {
      expect(await codeOf(async () => readServers(file(config)))).to.equal('BAD_CONFIGURATION');
    });
  }
});
