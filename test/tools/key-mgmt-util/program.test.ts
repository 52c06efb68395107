import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from '../../support/engine.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

describe('the program key_mgmt_util', () => {
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

  function run(
    words: readonly string[],
    typed = '',
  ): Promise<{ output: string; errors: string; status: number | null }> {
    const env = { ...process.env, CLOUDHSM_LOCAL_PREFIX: prefix.directory };
    const program = spawn(process.execPath, [join(projectRoot, 'bin/key_mgmt_util.mjs'), ...words], { env });
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

  const login = ['loginHSM', '-u', 'CU', '-s', 'crypto_user'];

  it('takes one command from its command line, and warns of a password there', async () => {
    const { output, errors, status } = await run([
      'singlecmd',
      ...login,
      '-p',
      PASSWORD,
      'genSymKey',
      '-l',
      'aes',
      '-t',
      '31',
      '-s',
      '32',
      '-min_srv',
      '1',
      '-timeout',
      '1',
    ]);
    expect(output).to.contain('Cfm3LoginHSM returned: 0x00 : HSM Return: SUCCESS');
    expect(output).to.match(/Symmetric Key Created\. {2}Key Handle: \d+/);
    expect(errors).to.contain('-p is visible to other users of this machine');
    expect(errors + output).to.not.contain(PASSWORD);
    expect(status).to.equal(0);
  });

  it('takes the password without showing it', async () => {
    const { output, errors, status } = await run(
      ['singlecmd', ...login, '-hpswd', 'findKey'],
      `${PASSWORD}\n`,
    );
    expect(output).to.contain('Enter password:').and.to.contain('Total number of keys present');
    expect(output).to.not.contain(PASSWORD);
    expect(errors).to.equal('');
    expect(status).to.equal(0);
  });

  it('ends with another status when a command fails, and does not go on to the next', async () => {
    const { output, status } = await run(['singlecmd', ...login, '-p', 'wrong_password', 'findKey']);
    expect(output).to.contain('RET_USER_LOGIN_FAILURE').and.to.not.contain('Total number of keys');
    expect(status).to.equal(1);
  });

  it('reads commands line by line until its input ends', async () => {
    const lines = [`${login.join(' ')} -p "${PASSWORD}"`, 'findKey', 'exit', 'listUsers'];
    const { output, status } = await run([], lines.join('\n'));
    expect(output).to.contain('Total number of keys present').and.to.not.contain('Number Of Users');
    expect(status).to.equal(0);
  });

  it('refuses other arguments', async () => {
    const { errors, status } = await run(['nonsense']);
    expect(errors).to.contain('not understood');
    expect(status).to.equal(1);
  });
});
