import {
  accessSync,
  constants,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readClientConfig } from '../../src/base/client-config.js';
import { cloudhsmLocal, projectRoot, run, TestEngine } from '../support/engine.js';

describe('cloudhsm-local install', () => {
  let prefix: string;
  let home: string;

  beforeEach(() => {
    prefix = mkdtempSync(join(tmpdir(), "chl-it's "));
    home = mkdtempSync(join(tmpdir(), 'chl-'));
  });

  afterEach(() => {
    rmSync(prefix, { recursive: true, force: true });
    rmSync(home, { recursive: true, force: true });
  });

  const at = (...parts: string[]): string => join(prefix, ...parts);
  const install = () => cloudhsmLocal(['install', '--prefix', prefix, '--home', home]);

  it('lays out what programs and scripts name', async () => {
    const installed = await install();
    expect(installed.code, installed.stderr).to.equal(0);
    expect(readlinkSync(at('lib/libcloudhsm_pkcs11.so'))).to.equal(
      join(projectRoot, 'build/pkcs11/libcloudhsm_pkcs11.so'),
    );
    for (const file of [
      'include/pkcs11/pkcs11.h',
      'include/pkcs11/cloudhsm_pkcs11_vendor_defs.h',
      'lib/libcloudhsm_openssl_engine.so',
      'etc/cloudhsm_client.cfg',
      'etc/cloudhsm_mgmt_util.cfg',
      'etc/cloudhsm-jce.cfg',
    ])
      expect(() => accessSync(at(file), constants.R_OK), file).not.to.throw();
    expect(statSync(at('run')).isDirectory()).to.equal(true);
    const version = await run(at('bin/cloudhsm-cli'), ['--version']);
    expect(version.stdout).to.match(/^CloudHSM CLI \d/);
  });

  it('installs tools that read and write the files of its prefix, unconfigured at first', async () => {
    await install();
    const unconfigured = await run(at('bin/cloudhsm-cli'), ['user', 'list']);
    expect(unconfigured.code).to.equal(1);
    // [seen], reference management-tools, section 3.3.
    expect(unconfigured.stderr).to.contain('Config key hostname has invalid value');
    expect((await run(at('bin/configure-cli'), ['-a', '10.0.0.1'])).code).to.equal(0);
    const { config } = readClientConfig(at('etc/cloudhsm-cli.cfg'))!;
    expect(config.clusters![0]!.cluster).to.deep.include({ hsm_ca_file: at('etc/customerCA.crt') });
    expect(config.clusters![0]!.cluster.servers).to.deep.equal([
      { hostname: '10.0.0.1', port: 2223, enable: true },
    ]);
  });

  it('leaves what was configured as it was, and says so', async () => {
    await install();
    writeFileSync(at('etc/cloudhsm-cli.cfg'), '{"mine":true}');
    const again = await install();
    expect(again.stdout).to.contain('cloudhsm-cli.cfg');
    expect(readFileSync(at('etc/cloudhsm-cli.cfg'), 'utf8')).to.equal('{"mine":true}');
  });

  it('configures what was installed before there was a cluster, and leaves what was configured since', async () => {
    const engine = await TestEngine.start(['--hsms', '1']);
    // As it would be before the first start: another home without a cluster.
    await install();
    expect((await run(at('bin/configure-jce'), ['-a', '10.0.0.1'])).code).to.equal(0);
    const again = await cloudhsmLocal(['install', '--prefix', prefix, '--home', engine.home]);
    expect(again.stdout).to.contain('Left as they were in etc: cloudhsm-jce.cfg');
    const users = await run(at('bin/cloudhsm-cli'), ['user', 'list']);
    expect(users.code, users.stderr).to.equal(0);
    const management = readFileSync(at('etc/cloudhsm_mgmt_util.cfg'), 'utf8');
    expect(JSON.parse(management).servers).to.have.length(1);
    expect(readFileSync(at('etc/cloudhsm_client.cfg'), 'utf8')).to.match(/"hostname": "127\./);
    await engine.stop();
  });

  it('installs a module that finds its engine', async () => {
    const engine = await TestEngine.start(['--hsms', '1']);
    await cloudhsmLocal(['install', '--prefix', prefix, '--home', engine.home]);
    const script = `const { PKCS11 } = (await import('pkcs11js')).default;
      const module = new PKCS11();
      module.load(process.argv[1]);
      module.C_Initialize();
      console.log(module.C_GetSlotList(true).length);`;
    const words = ['--input-type=module', '-e', script, at('lib/libcloudhsm_pkcs11.so')];
    const env = { ...process.env, CLOUDHSM_PKCS11_CONFIG: at('etc/cloudhsm-pkcs11.cfg') };
    const found = await run(process.execPath, words, { cwd: projectRoot, env });
    expect(found.stdout.trim(), found.stderr).to.equal('1');
    await engine.stop();
  });

  it('says where it cannot write, or that a prefix is missing', async () => {
    const nowhere = await cloudhsmLocal(['install', '--prefix', '/dev/null/none', '--home', home]);
    expect(nowhere.code).to.equal(6);
    expect(nowhere.stderr).to.contain('/dev/null/none');
    expect((await cloudhsmLocal(['install', '--home', home])).code).to.equal(1);
  });
});
