import { expect } from 'chai';
import { newMaskingKey } from '../../../src/hsm/masking.js';
import { answersOf, dataOf, runCli } from '../../support/cli.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

describe('cloudhsm-cli: from a cluster to its clone', () => {
  let networks: NetworkCluster[];
  let prefix: TestPrefix;
  const ids = ['cluster-source', 'cluster-clone', 'cluster-stranger'] as const;

  before(async () => {
    const maskingKey = newMaskingKey();
    const start = (id: string, own?: Buffer) =>
      NetworkCluster.start({ id, hsms: 2, ...(own && { maskingKey: own }) });
    networks = [await start(ids[0], maskingKey), await start(ids[1], maskingKey), await start(ids[2])];
    prefix = new TestPrefix(networks[0]!.endpoints, networks[0]!.client);
    const clusters = networks.map(({ endpoints, client }, at) => ({
      type: 'hsm1',
      cluster: {
        cluster_id: ids[at],
        hsm_ca_file: prefix.write(`ca-${at}.crt`, client.trustAnchor),
        client_cert_path: prefix.write(`client-${at}.crt`, client.certificate),
        client_key_path: prefix.write(`client-${at}.key`, client.privateKey),
        servers: endpoints.slice(0, 1).map(({ host, port }) => ({ hostname: host, port })),
      },
    }));
    prefix.write('etc/cloudhsm-cli.cfg', JSON.stringify({ clusters }));
  });

  after(async () => {
    prefix.remove();
    for (const network of networks) await network.close();
  });

  const between = (to: string) => ['--source-cluster-id', ids[0], '--destination-cluster-id', to];
  const pins = (role: 'admin' | 'crypto-user', user: string) => ({
    pin: `${user}:${PASSWORD}`,
    role,
    env: { DESTINATION_CLOUDHSM_PIN: `${user}:${PASSWORD}`, DESTINATION_CLOUDHSM_ROLE: role },
  });

  it('a key keeps its reference, and is on every HSM there', async () => {
    const owner = pins('crypto-user', 'crypto_user');
    const words = [
      'key',
      'generate-symmetric',
      'aes',
      '--label',
      'travels',
      '--key-length-bytes',
      '32',
      '--attributes',
      'extractable=false',
      '--cluster-id',
      ids[0],
    ];
    const made = dataOf(await runCli(prefix, words, owner)) as { key: { 'key-reference': string } };
    const replicate = ['key', 'replicate', '--filter', 'attr.label=travels'];
    const answer = dataOf(await runCli(prefix, [...replicate, ...between(ids[1])], owner)) as {
      key: object;
      message: string;
    };
    expect(answer.message).to.equal('Successfully replicated key');
    expect(answer.key).to.deep.include({ 'key-reference': made.key['key-reference'] });
    const refused = dataOf(await runCli(prefix, [...replicate, ...between(ids[2])], owner));
    expect(refused).to.contain('masked object is of a cluster');
    const same = dataOf(await runCli(prefix, [...replicate, ...between(ids[0])], owner));
    expect(same).to.contain('same cluster');
  });

  it('a user keeps its password', async () => {
    const admin = pins('admin', 'admin');
    const create = [
      'user',
      'create',
      '--username',
      'nomad',
      '--role',
      'crypto-user',
      '--password',
      'password7',
      '--cluster-id',
      ids[0],
    ];
    expect((await runCli(prefix, create, admin)).code).to.equal(0);
    const words = ['user', 'replicate', '--username', 'nomad', '--role', 'crypto-user'];
    expect(dataOf(await runCli(prefix, [...words, ...between(ids[1])], admin))).to.deep.equal({
      user: {
        username: 'nomad',
        role: 'crypto-user',
        locked: 'false',
        mfa: [],
        quorum: [],
        'cluster-coverage': 'full',
      },
      message: 'Successfully replicated user',
    });
    const login = `login --username nomad --role crypto-user --password password7 --cluster-id ${ids[1]}`;
    const run = await runCli(prefix, ['interactive'], { input: [login, 'user list', 'quit'] });
    const [loggedIn, ambiguous] = answersOf(run);
    expect(loggedIn!.error_code).to.equal(0);
    expect(ambiguous!.data).to.contain('--cluster-id');
    expect(run.stdout).to.contain(`nomad@${ids[1]} > `);
  });
});
