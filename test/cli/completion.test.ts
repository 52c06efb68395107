import { join } from 'node:path';
import { expect } from 'chai';
import { binary, projectRoot, run } from '../support/engine.js';

const cli = join(projectRoot, 'bin', 'cloudhsm-cli.mjs');

describe('shell completion', () => {
  const following = async (program: string, ...words: string[]): Promise<string[]> =>
    (await run(process.execPath, [program, '--complete', ...words])).stdout.trim().split('\n');

  it('of cloudhsm-local knows commands, options and choices', async () => {
    expect(await following(binary)).to.include.members(['up', 'install', 'completion']);
    expect(await following(binary, 'up')).to.include.members(['--hsms', '--profile']);
    expect(await following(binary, 'up', '--profile')).to.deep.equal(['strict', 'compatible']);
    expect(await following(binary, 'completion')).to.include.members(['bash', 'zsh']);
  });

  it('of cloudhsm-cli comes from its rows', async () => {
    expect(await following(cli)).to.include.members(['user', 'key', 'interactive', 'help']);
    expect(await following(cli, 'user')).to.include.members(['create', 'list']);
    expect(await following(cli, 'user', 'create')).to.include.members([
      '--username',
      '--role',
      '--cluster-id',
    ]);
    expect(await following(cli, 'user', 'create', '--role')).to.deep.equal(['crypto-user', 'admin']);
    expect(await following(cli, 'user', 'create', '--role', 'admin')).not.to.include('--role');
  });

  it('is a script that bash takes', async () => {
    const script = `eval "$('${process.execPath}' '${binary}' completion bash)"
cloudhsm-cli() { '${process.execPath}' '${cli}' "$@"; }
COMP_WORDS=(cloudhsm-cli user cre); COMP_CWORD=2; _cloudhsm_complete cloudhsm-cli; echo "\${COMPREPLY[*]}"`;
    const completed = await run('bash', ['-c', script]);
    expect(completed.stdout.trim(), completed.stderr).to.equal('create');
  });
});
