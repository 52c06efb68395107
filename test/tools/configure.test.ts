import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { readClientConfig } from '../../src/base/client-config.js';
import { isSignedBy, parseAuthorization } from '../../src/control-plane/http/signature.js';
import { configureSdk5 } from '../../src/tools/configure/main.js';
import { configureSdk3 } from '../../src/tools/configure/sdk3.js';
import type { Component } from '../../src/tools/configure/sdk5.js';
import { readManagedServers } from '../../src/tools/connection/cluster-access.js';
import { NetworkCluster } from '../support/network.js';
import { TestPrefix } from '../support/prefix.js';

interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

describe('configure', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;
  let before_: string | undefined;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
  });

  after(() => network.close());

  beforeEach(() => {
    prefix = new TestPrefix(network.endpoints, network.client);
    before_ = process.env['CLOUDHSM_LOCAL_PREFIX'];
    process.env['CLOUDHSM_LOCAL_PREFIX'] = prefix.directory;
  });

  afterEach(() => {
    if (before_ === undefined) delete process.env['CLOUDHSM_LOCAL_PREFIX'];
    else process.env['CLOUDHSM_LOCAL_PREFIX'] = before_;
    prefix.remove();
  });

  const sdk5 = async (component: Component, line: string, env: NodeJS.ProcessEnv = {}): Promise<Said> => {
    const said = { code: 0, stdout: '', stderr: '' };
    const words = line === '' ? [] : line.split(' ');
    said.code = await configureSdk5(
      component,
      words,
      env,
      (text) => (said.stdout += text),
      (text) => (said.stderr += text),
    );
    return said;
  };
  const config = (component: Component) =>
    readClientConfig(prefix.path(`etc/cloudhsm-${component}.cfg`))!.config;

  it('of SDK 5 writes a file that the library and the tools read', async () => {
    const line =
      '-a 10.0.0.1 10.0.0.2 --disable-key-availability-check --log-level warn --log-rotation never --default-retry-mode off --disable-validate-key-at-init --enable-certificate-storage';
    expect(await sdk5('pkcs11', line)).to.deep.equal({ code: 0, stdout: '', stderr: '' });
    expect(config('pkcs11')).to.deep.equal({
      clusters: [
        {
          type: 'hsm1',
          cluster: {
            hsm_ca_file: prefix.path('etc/customerCA.crt'),
            servers: ['10.0.0.1', '10.0.0.2'].map((hostname) => ({ hostname, port: 2223, enable: true })),
            options: {
              disable_key_availability_check: true,
              disable_validate_key_at_init: true,
              enable_certificate_storage: true,
              default_retry_mode: 'off',
            },
          },
        },
      ],
      logging: { log_level: 'warn', log_interval: 'never' },
    });
    expect((await sdk5('pkcs11', '--enable-key-availability-check')).code).to.equal(0);
    expect(config('pkcs11').clusters![0]!.cluster.options).to.include({
      disable_key_availability_check: false,
      default_retry_mode: 'off',
    });
    expect(config('pkcs11').clusters![0]!.cluster.servers).to.have.length(2);
  });

  it('of SDK 5 keeps what it does not know, and replaces the placeholder of a fresh file', async () => {
    const cluster = { servers: [{ hostname: '%%HSM_IP_ADDRESS%%' }], future: 1 };
    prefix.write(
      'etc/cloudhsm-jce.cfg',
      JSON.stringify({ clusters: [{ type: 'hsm1', cluster }], note: 'mine' }),
    );
    expect((await sdk5('jce', '-a 10.0.0.1')).code).to.equal(0);
    expect(config('jce')).to.deep.include({ note: 'mine' });
    expect(config('jce').clusters![0]!.cluster).to.deep.include({
      future: 1,
      servers: [{ hostname: '10.0.0.1', port: 2223, enable: true }],
    });
  });

  for (const [component, line, problem] of [
    ['cli', '', 'nothing to configure'],
    ['cli', '-a', 'a value is required'],
    ['cli', '-a 10.0.0.1;rm', 'is no address'],
    ['cli', '-a 10.0.0.1 --cluster-id cluster-x', 'exclude each other'],
    ['cli', '--log-level loud', 'possible values: error'],
    ['cli', '--enable-certificate-storage', 'unexpected argument'],
    ['cli', '--client-cert-hsm-tls-file x', 'together'],
    ['dyn', 'add-cluster --cluster-id x', 'unrecognized'],
    ['cli', '--enable-key-availability-check --disable-key-availability-check', 'exclude each other'],
    ['cli', 'add-cluster', '--cluster-id <CLUSTER_ID>'],
    ['cli', 'remove-cluster --cluster-id cluster-none', 'names no cluster'],
    ['cli', '--cluster-id cluster-x', 'no AWS credentials'],
    ['cli', '--cluster-id cluster-x --region ../x', 'no name of a region'],
    ['cli', '--cluster-id cluster-x --endpoint file:///etc/passwd', 'no http or https URL'],
  ] as const) {
    it(`of SDK 5 refuses: configure-${component} ${line}`, async () => {
      const file = prefix.path(`etc/cloudhsm-${component}.cfg`);
      const before = component === 'cli' ? readFileSync(file, 'utf8') : undefined;
      const said = await sdk5(component, line, {
        AWS_SHARED_CREDENTIALS_FILE: '/none',
        AWS_CONFIG_FILE: '/none',
      });
      expect(said.code).to.be.within(1, 2);
      expect(said.stderr).to.contain(problem);
      if (before !== undefined) expect(readFileSync(file, 'utf8')).to.equal(before);
    });
  }

  describe('with a cluster id', () => {
    let api: Server;
    let asked: { headers: IncomingHttpHeaders; body: string } | undefined;
    let status: number;
    const hsms: Record<string, string[]> = {
      'cluster-aaaaaaaaaaa': ['10.1.0.1', '10.1.0.2'],
      'cluster-bbbbbbbbbbb': ['10.2.0.1'],
      'cluster-empty': [],
    };

    before(async () => {
      api = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => (body += chunk));
        request.on('end', () => {
          asked = { headers: request.headers, body };
          const [id = ''] = (JSON.parse(body) as { Filters: { clusterIds: string[] } }).Filters.clusterIds;
          const answer = {
            Clusters: hsms[id]
              ? [{ ClusterId: id, Hsms: hsms[id].map((EniIp) => ({ EniIp, State: 'ACTIVE' })) }]
              : [],
          };
          response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
          response.end(
            JSON.stringify(
              status === 200 ? answer : { __type: 'x#CloudHsmAccessDeniedException', message: 'no' },
            ),
          );
        });
      });
      await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    });
    after(() => api.close());
    beforeEach(() => {
      status = 200;
    });

    const env = (): NodeJS.ProcessEnv => ({
      AWS_ENDPOINT_URL_CLOUDHSM_V2: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'example-secret',
      AWS_DEFAULT_REGION: 'eu-west-1',
    });

    it('asks the API, signed, for the addresses', async () => {
      expect(await sdk5('cli', '--cluster-id cluster-aaaaaaaaaaa', env())).to.deep.include({
        code: 0,
        stderr: '',
      });
      const [{ cluster }] = config('cli').clusters as [
        NonNullable<ReturnType<typeof config>['clusters']>[number],
      ];
      expect(cluster.servers!.map(({ hostname }) => hostname)).to.deep.equal(['10.1.0.1', '10.1.0.2']);
      expect(asked!.headers['x-amz-target']).to.equal('BaldrApiService.DescribeClusters');
      const claim = parseAuthorization(String(asked!.headers['authorization']))!;
      expect(claim).to.include({ accessKeyId: 'AKIDEXAMPLE', region: 'eu-west-1', service: 'cloudhsm' });
      const isSigned = isSignedBy(claim, 'example-secret', asked!.headers, Buffer.from(asked!.body));
      expect(isSigned).to.equal(true);
    });

    it('adds clusters side by side and removes them', async () => {
      await sdk5('cli', '--cluster-id cluster-aaaaaaaaaaa', env());
      expect((await sdk5('cli', 'add-cluster --cluster-id cluster-bbbbbbbbbbb', env())).code).to.equal(0);
      expect(config('cli').clusters!.map(({ cluster }) => cluster.cluster_id)).to.deep.equal([
        'cluster-aaaaaaaaaaa',
        'cluster-bbbbbbbbbbb',
      ]);
      expect((await sdk5('cli', '-a 10.0.0.1')).stderr).to.contain('several clusters');
      await sdk5('cli', 'remove-cluster --cluster-id cluster-aaaaaaaaaaa');
      expect(config('cli').clusters).to.have.length(1);
    });

    it('says what the API says against it', async () => {
      expect((await sdk5('cli', '--cluster-id cluster-none', env())).stderr).to.contain(
        'no cluster cluster-none in eu-west-1',
      );
      expect((await sdk5('cli', '--cluster-id cluster-empty', env())).stderr).to.contain(
        'no HSM that is ACTIVE',
      );
      status = 400;
      const refused = await sdk5('cli', '--cluster-id cluster-aaaaaaaaaaa', env());
      expect(refused.stderr).to.contain('CloudHsmAccessDeniedException no');
      expect(refused.stderr).not.to.contain('example-secret');
    });
  });

  describe('of SDK 3', () => {
    const sdk3 = async (line: string): Promise<Said> => {
      const said = { code: 0, stdout: '', stderr: '' };
      said.code = await configureSdk3(
        line.split(' '),
        (text) => (said.stdout += `${text}\n`),
        (text) => (said.stderr += text),
      );
      return said;
    };

    it('writes both files and says so', async () => {
      const said = await sdk3('-a 10.0.4.20');
      // [seen], reference management-tools, section 3.1.
      expect(said.stdout).to.equal(
        `Updating server config in ${prefix.path('etc/cloudhsm_client.cfg')}\nUpdating server config in ${prefix.path('etc/cloudhsm_mgmt_util.cfg')}\n`,
      );
      expect(
        JSON.parse(readFileSync(prefix.path('etc/cloudhsm_client.cfg'), 'utf8')).server.hostname,
      ).to.equal('10.0.4.20');
      const [server] = readManagedServers(prefix.path('etc/cloudhsm_mgmt_util.cfg'));
      expect(server).to.deep.include({ name: '10.0.4.20', host: '10.0.4.20', port: 2225 });
    });

    it('replaces the identity in both', async () => {
      expect((await sdk3('--ssl --pkey /my.key --cert /my.crt')).code).to.equal(0);
      expect(JSON.parse(readFileSync(prefix.path('etc/cloudhsm_client.cfg'), 'utf8')).ssl).to.include({
        pkey: '/my.key',
      });
      for (const { identity } of readManagedServers(prefix.path('etc/cloudhsm_mgmt_util.cfg')))
        expect(identity).to.include({ privateKey: '/my.key', certificate: '/my.crt' });
    });

    it('asks an HSM for the others', async () => {
      const said = await sdk3('-m');
      expect(said.code, said.stderr).to.equal(0);
      expect(readManagedServers(prefix.path('etc/cloudhsm_mgmt_util.cfg'))).to.have.length(2);
    });

    for (const line of ['', '-a', '-a 10.0.0.1 -m', '--ssl', '--pkey x', '-a ../../x/', '-i 7 -m', 'start']) {
      it(`refuses: configure ${line}`, async () => {
        expect((await sdk3(line)).code).to.equal(2);
      });
    }
  });
});
