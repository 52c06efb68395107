import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readClientConfig, unknownFields, writeClientConfig } from '../../src/base/client-config.js';
import { confFolder } from '../support/engine.js';

/** The file as the real library has it (reference 2.2). */
const documented = {
  clusters: [
    {
      type: 'hsm1',
      cluster: {
        client_cert_path: '/opt/cloudhsm/etc/ssl-client.crt',
        client_key_path: '/opt/cloudhsm/etc/ssl-client.key',
        hsm_ca_file: '/opt/cloudhsm/etc/customerCA.crt',
        cluster_id: 'cluster-xxxxxxxxxxx',
        servers: [{ hostname: '10.0.0.11', port: 2223, enable: true }],
        options: { disable_key_availability_check: false },
      },
    },
  ],
  logging: {
    log_type: 'file',
    log_file: '/opt/cloudhsm/run/cloudhsm-pkcs11.log',
    log_level: 'info',
    log_interval: 'daily',
  },
};

describe('cloudhsm-pkcs11.cfg', () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cfg-'));
    file = join(folder, 'cloudhsm-pkcs11.cfg');
  });
  after(() => rmSync(folder, { recursive: true }));

  const read = (contents: unknown) => {
    writeFileSync(file, typeof contents === 'string' ? contents : JSON.stringify(contents));
    return readClientConfig(file);
  };
  /** The documented file with one field of the cluster's, its options or the log's changed. */
  const changed = (where: 'cluster' | 'options' | 'logging', field: string, value: unknown): unknown => {
    const copy = structuredClone(documented);
    const { cluster } = copy.clusters[0]!;
    Object.assign({ cluster, options: cluster.options, logging: copy.logging }[where], { [field]: value });
    return copy;
  };

  it("is read in the real library's form, every field of which is known", () => {
    const { config } = read(documented)!;
    expect(config).to.deep.equal(documented);
    expect(unknownFields(config)).to.deep.equal([]);
  });

  it('is undefined where there is none, and may be empty', () => {
    expect(readClientConfig(join(folder, 'nowhere'))).to.equal(undefined);
    expect(readClientConfig(join(file, 'below-a-file'))).to.equal(undefined);
    expect(read({})!.config).to.deep.equal({});
  });

  it('has a sample in conf without a field that is not known', () => {
    const { config } = readClientConfig(join(confFolder, 'cloudhsm-pkcs11.cfg'))!;
    expect(unknownFields(config)).to.deep.equal([]);
  });

  it('names the fields that have no effect, and keeps them when it is written again', () => {
    const { config } = read({ ...(changed('options', 'enable_warp_drive', true) as object), shiny: {} })!;
    expect(unknownFields(config)).to.deep.equal(['clusters[0].cluster.options.enable_warp_drive', 'shiny']);
    writeClientConfig({ file, config });
    expect(readClientConfig(file)!.config).to.deep.equal(config);
    expect(JSON.parse(readFileSync(file, 'utf8')).shiny).to.deep.equal({});
    expect(statSync(file).mode & 0o777).to.equal(0o600);
  });

  for (const [what, contents, field] of [
    ['no JSON', 'clusters = 1', 'it is not JSON'],
    ['a list', [], 'it: '],
    [
      'a flag as a text',
      changed('options', 'disable_key_availability_check', 'true'),
      'disable_key_availability',
    ],
    ['a retry mode there is not', changed('options', 'default_retry_mode', 'always'), 'default_retry_mode'],
    ['a port out of range', changed('cluster', 'servers', [{ hostname: 'a', port: 0 }]), 'servers[0].port'],
    [
      'the placeholder of an unconfigured file',
      changed('cluster', 'servers', [{ hostname: '%%HSM_IP_ADDRESS%%' }]),
      'Config key hostname has invalid value',
    ],
    ['a log level there is not', changed('logging', 'log_level', 'loud'), 'logging.log_level'],
    [
      'a log file relative to nobody knows what',
      changed('logging', 'log_file', 'my.log'),
      'logging.log_file',
    ],
  ] as const) {
    it(`is refused with ${what}, which is named`, () => {
      expect(() => read(contents))
        .to.throw(`${file} cannot be used`)
        .with.property('message')
        .that.includes(field);
    });
  }

  it('is refused, and holds nobody up, where it is a folder, a pipe, or too long', () => {
    expect(() => readClientConfig(folder)).to.throw('no regular file');
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(() => readClientConfig(pipe)).to.throw('no regular file');
    expect(() => read(' '.repeat(65_537))).to.throw('may have 65536');
  });
});
