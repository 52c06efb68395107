import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cloudhsmLocal, projectRoot, run } from '../support/engine.js';

/** What people do who have not read anything: one sentence and the exit status that README.md lists, and nothing is left behind. */
describe('cloudhsm-local, used in a way that cannot work', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
    file = join(folder, 'file');
    writeFileSync(file, '{}');
  });

  afterEach(async () => {
    const home = join(folder, 'home');
    if (existsSync(home)) await cloudhsmLocal(['down', '--home', home]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function refused(code: number, text: string, ...words: string[]): Promise<void> {
    const { code: actual, stderr } = await cloudhsmLocal(words);
    expect(stderr).to.contain(text);
    expect(stderr.trim().split('\n'), 'one sentence').to.have.length(1);
    expect(actual, stderr).to.equal(code);
  }

  it('refuses a home that is a file, or in one, whichever command it is', async () => {
    for (const words of [['up'], ['up', '--detach'], ['init'], ['control-plane'], ['reset']])
      await refused(6, 'cannot be used: ENOTDIR', ...words, '--home', file);
    await refused(6, 'cannot be used: ENOTDIR', 'up', '--detach', '--home', join(file, 'home'));
    await refused(6, `nothing can be installed in ${file}: ENOTDIR`, 'install', '--prefix', file);
  });

  it('refuses a path that is too long for a socket before it makes anything', async () => {
    const home = join(folder, 'x'.repeat(100));
    for (const words of [['up', '--detach'], ['up'], ['init']])
      await refused(6, 'choose a shorter --home', ...words, '--home', home);
    expect(existsSync(home)).to.equal(false);
  });

  it('reads no settings from folders and devices without end', async () => {
    for (const config of [folder, '/dev/zero'])
      await refused(6, `${config} is no file`, 'up', '--config', config, '--home', join(folder, 'home'));
  });

  it('forgets no folder of somebody else, and leaves nothing in it', async () => {
    await refused(6, 'is not removed: file in it', 'reset', '--home', folder);
    expect(readdirSync(folder)).to.deep.equal(['file']);
  });

  it('says on one line what is wrong with a cluster.json', async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    writeFileSync(join(home, 'cluster.json'), '{"formatVersion":1,"hsms":[{}]}');
    for (const words of [['env'], ['hsm', '1'], ['up']])
      await refused(
        6,
        'is not a cluster file of this version: id: Invalid input: expected string, received undefined; hsmType: ',
        ...words,
        '--home',
        home,
      );
  });

  it('shows a home as a shell takes it, whatever its name', async () => {
    const home = join(folder, "it's $HOME");
    const { code, stdout } = await cloudhsmLocal(['init', '--hsms', '1', '--home', home]);
    expect(code).to.equal(0);
    const [, shown] = /--home (.*)$/m.exec(stdout) ?? [];
    expect((await run('sh', ['-c', `printf %s ${shown}`])).stdout).to.equal(home);
  });

  it('says once that an address is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    writeFileSync(file, JSON.stringify({ controlPlane: { port: (other.address() as AddressInfo).port } }));
    const words = ['up', '--detach', '--config', file, '--home', join(folder, 'home')];
    const { code, stderr } = await cloudhsmLocal(words);
    other.close();
    expect(code).to.equal(5);
    expect(stderr.match(/EADDRINUSE/g)).to.have.length(1);
  });

  it('names the API to who wants to change the HSMs of its cluster, while it runs and afterwards', async () => {
    const home = join(folder, 'home');
    expect((await cloudhsmLocal(['up', '--detach', '--hsms', '1', '--home', home])).code).to.equal(0);
    const commands = () =>
      Promise.all([
        refused(6, 'aws cloudhsmv2 create-hsm', 'add-hsm', '--home', home),
        refused(6, 'aws cloudhsmv2 create-hsm', 'remove-hsm', '1', '--home', home),
      ]);
    await commands();
    await cloudhsmLocal(['down', '--home', home]);
    await commands();
  });

  it('tells another user whose home it is', async function () {
    if (process.getuid?.() !== 0) this.skip();
    const home = join(folder, 'home');
    expect((await cloudhsmLocal(['up', '--detach', '--hsms', '1', '--home', home])).code).to.equal(0);
    const [node, script] = [process.execPath, new URL('../../../bin/cloudhsm-local.mjs', import.meta.url)];
    const words = ['--reuid=65534', '--regid=65534', '--clear-groups', node, script.pathname, 'status'];
    const { code, stderr } = await run('setpriv', [...words, '--home', home]);
    // Where the other user may not read the program either, there is nothing to see.
    if (!stderr.startsWith('cloudhsm-local')) this.skip();
    expect(stderr).to.match(/is another user's: what runs there cannot be asked: connect EACCES/);
    expect(code).to.equal(6);
  });

  it('says what it is', async () => {
    expect((await cloudhsmLocal(['--version'])).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });
});

/** A script that keeps an answer must learn that it has not got it; one that has read enough, as `head` has, wants no complaint. */
describe('output that cannot be written', function () {
  if (!existsSync('/dev/full')) return;
  this.timeout(60_000);
  const commands: [program: string, ...words: string[]][] = [
    ['cloudhsm-local', 'completion', 'bash'],
    ['cloudhsm-local', '--help'],
    ['cloudhsm-local', 'up', '--help'],
    ['cloudhsm-local', '--version'],
    ['cloudhsm-cli', 'help'],
    ['cloudhsm-cli', '--complete', 'cloudhsm-cli', ''],
    ['key_mgmt_util', '-h'],
    ['cloudhsm_mgmt_util', '-h'],
    ['configure-pkcs11', '--help'],
    ['configure', '--help'],
  ];
  const inShell = (words: readonly string[], output: string) => {
    const [program, ...rest] = words;
    const file = join(projectRoot, 'bin', `${program}.mjs`);
    const script = `${output} && wait $!; "$@" >&3; echo "$?" >&2`;
    return run('bash', ['-c', script, 'bash', process.execPath, file, ...rest]);
  };
  for (const words of commands) {
    it(`is a message and an exit status: ${words.join(' ')}`, async () => {
      const { stderr } = await inShell(words, 'exec 3> /dev/full');
      expect(stderr).to.match(new RegExp(`^${words[0]}: the output could not be written.*: ENOSPC.*\n1\n$`));
    });
    it(`is, where nobody reads it, the end that SIGPIPE would be: ${words.join(' ')}`, async () => {
      expect((await inShell(words, 'exec 3> >(:)')).stderr).to.equal('141\n');
    });
  }
});
