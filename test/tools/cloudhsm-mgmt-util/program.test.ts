import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runManagementTool } from '../../../src/tools/cloudhsm-mgmt-util/tool.js';
import { readManagedServers } from '../../../src/tools/connection/cluster-access.js';
import { projectRoot } from '../../support/engine.js';
import { NetworkCluster, until } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';
import { ScriptedTerminal } from '../../support/scripted-terminal.js';

interface Ended {
  readonly output: string;
  readonly errors: string;
  readonly status: number | null;
}

describe('the program cloudhsm_mgmt_util', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 2, hsmType: 'hsm1.medium' });
    prefix = new TestPrefix(network.endpoints, network.client);
  });

  after(async () => {
    await network.close();
    prefix.remove();
  });

  function run(words: readonly string[], typed: string): Promise<Ended> {
    const env = { ...process.env, CLOUDHSM_LOCAL_PREFIX: prefix.directory };
    const program = spawn(process.execPath, [join(projectRoot, 'bin/cloudhsm_mgmt_util.mjs'), ...words], {
      env,
    });
    let output = '';
    let errors = '';
    program.stdout.on('data', (chunk) => {
      output += chunk;
    });
    program.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    program.stdin.end(typed);
    return new Promise((resolve) => program.on('close', (status) => resolve({ output, errors, status })));
  }

  const listsBoth = ({ output, errors, status }: Ended): void => {
    expect(errors).to.equal('');
    expect(output.match(/Number of users found:4/g)).to.have.length(2);
    expect(output).to.match(/disconnecting from servers, please wait...\n$/);
    expect(status).to.equal(0);
  };

  it('does not start without HSMs: commands to none would seem to be done', async () => {
    const none = prefix.path('etc/none.cfg');
    writeFileSync(none, '{"servers":[{"hostname":"10.0.0.1","enable":"no"}]}');
    const { output, errors, status } = await run([none], 'loginHSM CO admin x\n');
    expect(errors).to.contain('names no HSM that is enabled');
    expect(output).to.equal('');
    expect(status).to.equal(1);
  });

  it('says on HSMs of hsm2m.medium that AWS would not let it work there, apart from what scripts read', async () => {
    const newer = await NetworkCluster.start({ hsms: 2, hsmType: 'hsm2m.medium' });
    const its = new TestPrefix(newer.endpoints, newer.client);
    const { output, errors, status } = await run(
      [its.path('etc/cloudhsm_mgmt_util.cfg')],
      'listUsers\nquit\n',
    );
    expect(
      errors.match(/on AWS, tools of Client SDK 3 do not work with HSMs of hsm2m.medium/g),
    ).to.have.length(1);
    expect(output).to.not.contain('SDK');
    expect(status).to.equal(0);
    its.remove();
    await newer.close();
  });

  it('starts with a configuration file, with the packaged one, and with servers', async () => {
    listsBoth(await run([prefix.path('etc/cloudhsm_mgmt_util.cfg')], 'listUsers\nquit\n'));
    listsBoth(await run([], 'listUsers\nquit\n'));
    const addresses = network.endpoints.map(({ host, port }) => `${host}:${port}`);
    listsBoth(await run(['-server', ...addresses], 'listUsers\nquit\n'));
  });

  it('lets go of the HSMs whatever happens: they would keep it from ending', async () => {
    const terminal = new ScriptedTerminal([], () => {
      throw new Error('the terminal is gone');
    });
    const servers = readManagedServers(prefix.path('etc/cloudhsm_mgmt_util.cfg'));
    const failed = await runManagementTool(terminal, servers).catch((error: Error) => error.message);
    expect(failed).to.equal('the terminal is gone');
    await until(() => network.cluster.hsms.every(({ openSessions }) => openSessions === 0));
  });

  it('ends with its input', async () => {
    listsBoth(await run([], 'listUsers\n'));
  });

  it('says what of its start is wrong, and ends with status 1', async () => {
    const noJson = prefix.write('etc/no.cfg', 'servers:');
    const noServers = prefix.write('etc/empty.cfg', '{"servers": 7}');
    for (const [words, text] of [
      [[prefix.path('etc/missing.cfg')], 'there is no file'],
      [[noJson], 'it is not JSON'],
      [[noServers], 'servers'],
      [['a', 'b'], 'not understood'],
      [['-nonsense'], 'not understood'],
      [['-server', 'host:port'], '-server takes addresses'],
      [['-server', 'host:99999'], '-server takes addresses'],
    ] as const) {
      const { output, errors, status } = await run(words, 'listUsers\n');
      expect(output, words.join(' ')).to.equal('');
      expect(errors).to.contain(text);
      expect(status).to.equal(1);
    }
  });

  it('without a trust anchor connects to nothing and says so as CloudHSM does', async () => {
    const config = {
      servers: network.endpoints.map(({ host, port }) => ({
        hostname: host,
        name: 'server1',
        port,
        certificate: prefix.path('etc/client.crt'),
        pkey: prefix.path('etc/client.key'),
        e2e_encryption: { owner_cert_path: prefix.path('etc/missing.crt') },
      })),
    };
    const file = prefix.write('etc/no-anchor.cfg', JSON.stringify(config));
    const { output } = await run([file], 'loginHSM CO admin password\n');
    expect(output).to.contain('partition owner certificate not exist at given path');
    expect(output).to.contain('Server 0(server1) is in unencrypted mode now...');
    expect(output).to.contain('Server 0(server1) is not connected');
  });
});
