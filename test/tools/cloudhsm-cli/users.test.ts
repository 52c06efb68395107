import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { cloudhsmCli } from '../../../src/tools/cloudhsm-cli/main.js';
import { answersOf, dataOf, runCli } from '../../support/cli.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

const ADMIN = { pin: `admin:${PASSWORD}`, role: 'admin' } as const;

const createUser = (name: string): string[] => [
  'user',
  'create',
  '--username',
  name,
  '--role',
  'crypto-user',
  '--password',
  'password1',
];

describe('cloudhsm-cli: users', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints.slice(0, 1), network.client);
  });

  after(async () => {
    prefix.remove();
    await network.close();
  });

  const usernames = async (): Promise<string[]> => {
    const { users } = dataOf(await runCli(prefix, ['user', 'list'])) as { users: { username: string }[] };
    return users.map(({ username }) => username);
  };

  it('are created on every HSM, in lower case, and deleted from every HSM', async () => {
    const create = createUser('Alice');
    const created = await runCli(prefix, create, ADMIN);
    expect(created.code).to.equal(0);
    expect(dataOf(created)).to.deep.equal({ username: 'alice', role: 'crypto-user' });
    expect(created.stderr).to.contain('--password is visible to other users');
    expect(await usernames()).to.deep.equal(['admin', 'app_user', 'crypto_user', 'other_user', 'alice']);
    const deleted = await runCli(
      prefix,
      ['user', 'delete', '--username', 'alice', '--role', 'crypto-user'],
      ADMIN,
    );
    expect(dataOf(deleted)).to.deep.equal({ username: 'alice', role: 'crypto-user' });
    expect(await usernames()).not.to.contain('alice');
  });

  it('type passwords without echo, twice for a new one', async () => {
    const input = [
      'login --username admin --role admin',
      PASSWORD,
      'user create --username bob --role crypto-user',
      'password2',
      'password3',
      'user create --username bob --role crypto-user',
      'password2',
      'password2',
      'user delete --username bob --role crypto-user',
      'logout',
      'quit',
    ];
    const run = await runCli(prefix, ['interactive'], { input, terminal: true });
    expect(run.stdout).not.to.contain(PASSWORD);
    expect(run.stdout).not.to.contain('password2');
    expect(run.stdout).to.contain('Confirm password:');
    expect(answersOf(run)).to.deep.equal([
      { error_code: 0, data: { username: 'admin', role: 'admin' } },
      { error_code: 1, data: 'the two passwords are not the same' },
      { error_code: 0, data: { username: 'bob', role: 'crypto-user' } },
      { error_code: 0, data: { username: 'bob', role: 'crypto-user' } },
      { error_code: 0, data: 'Logout successful' },
    ]);
  });

  it('change their own password, and an admin that of others', async () => {
    const pin = { pin: `other_user:${PASSWORD}` };
    const words = ['user', 'change-password', '--role', 'crypto-user', '--username'];
    expect((await runCli(prefix, [...words, 'other_user', '--password', 'password4'], pin)).code).to.equal(0);
    expect((await runCli(prefix, [...words, 'crypto_user', '--password', 'password4'], pin)).code).to.equal(
      1,
    );
    const stale = await runCli(prefix, [...words, 'other_user', '--password', 'password4'], pin);
    expect(dataOf(stale)).to.match(/^Incorrect credentials are passed/);
    expect((await runCli(prefix, [...words, 'other_user', '--password', PASSWORD], ADMIN)).code).to.equal(0);
  });

  it('are refused a password with a colon, which CLOUDHSM_PIN could not hold', async () => {
    const words = ['user', 'create', '--username', 'carl', '--role', 'admin', '--password', 'pass:word1'];
    expect(dataOf(await runCli(prefix, words, ADMIN))).to.equal('a password has no colon');
  });

  it('that only one HSM has are shown as inconsistent, and what failed on some HSMs says so', async () => {
    const connection = network.cluster.hsms[0]!.connect();
    await connection.send('login', { name: 'admin', password: PASSWORD, role: 'CO' });
    await connection.send('createUser', { name: 'half', role: 'CU', password: 'password5' });
    const { users } = dataOf(await runCli(prefix, ['user', 'list'])) as { users: object[] };
    expect(users.at(-1)).to.deep.include({ username: 'half', 'cluster-coverage': 'inconsistent' });
    const words = [
      'user',
      'create',
      '--username',
      'half',
      '--role',
      'crypto-user',
      '--password',
      'password5',
    ];
    expect(dataOf(await runCli(prefix, words, ADMIN))).to.match(
      /^User create failed on 1 of 2 connections: /,
    );
    await connection.send('deleteUser', { name: 'half', role: 'CU' });
    connection.close();
  });

  it('must log in again when an HSM was lost and came back', async () => {
    const lose = async (): Promise<string> => {
      await network.cutOff('hsm-2');
      await network.comeBack('hsm-2');
      // Behind a whole other run the connection has learned of its end.
      await runCli(prefix, ['user', 'list']);
      return 'user delete --username nobody --role admin';
    };
    const login = 'login --username admin --role admin';
    const input = [login, PASSWORD, lose, 'user list', login, PASSWORD, 'quit'];
    const answers = answersOf(await runCli(prefix, ['interactive'], { input }));
    expect(answers.map(({ error_code }) => error_code)).to.deep.equal([0, 1, 0, 0]);
    expect(answers[1]!.data).to.contain('log in again');
  });

  it('leave the input alone that a command does not ask for', async () => {
    const input = new PassThrough();
    input.write('for the script around it\n');
    const streams = { input, output: new PassThrough(), errors: new PassThrough() };
    await cloudhsmCli(['--config', prefix.path('etc/cloudhsm-cli.cfg'), 'user', 'list'], {}, streams);
    expect(String(input.read())).to.equal('for the script around it\n');
  });

  it('type passwords at a terminal without echo also where the answers go to a program', async () => {
    const streams = { input: new PassThrough(), output: new PassThrough(), errors: new PassThrough() };
    Object.assign(streams.input, { isTTY: true, setRawMode: () => undefined });
    let screen = '';
    streams.errors.on('data', (chunk) => {
      screen += chunk;
      if (screen.endsWith('password:')) streams.input.write(`${PASSWORD}\r`);
    });
    const words = ['login', '--username', 'admin', '--role', 'admin'];
    const code = await cloudhsmCli(['--config', prefix.path('etc/cloudhsm-cli.cfg'), ...words], {}, streams);
    expect(code).to.equal(0);
    expect(screen).to.contain('Enter password:');
    expect(screen).not.to.contain(PASSWORD);
    expect(JSON.parse(String(streams.output.read()))).to.deep.include({ error_code: 0 });
  });

  it('need a login for what needs one, with the right role', async () => {
    const words = ['user', 'delete', '--username', 'admin', '--role', 'admin'];
    const nobody = await runCli(prefix, words);
    expect(nobody.code).to.equal(1);
    expect(dataOf(nobody)).to.contain('CLOUDHSM_PIN');
    const wrong = await runCli(prefix, words, { pin: `crypto_user:${PASSWORD}` });
    expect(dataOf(wrong)).to.contain('role admin');
    const typed = await runCli(prefix, ['interactive'], { input: [words.join(' '), 'quit'] });
    expect(answersOf(typed)[0]?.data).to.contain('login');
  });

  it('stay logged in when somebody names a cluster that there is not, and are told of a user that there is not', async () => {
    const input = [
      `login --username admin --role admin --password "${PASSWORD}"`,
      'user list --cluster-id cluster-none',
      'user delete --username nobody --role admin',
      'quit',
    ];
    const [, wrong, gone] = answersOf(await runCli(prefix, ['interactive'], { input }));
    expect(wrong!.data).to.equal("the configuration names no cluster 'cluster-none'");
    expect(gone!.data).to.equal('there is no CO nobody');
  });

  // "One HSM down: requests go to another HSM" (reference pkcs11-library, section 14.3); users are nobody's to make up for.
  it('use their keys while an HSM is away, and are changed when it is back', async () => {
    const user = { pin: `crypto_user:${PASSWORD}`, role: 'crypto-user' } as const;
    const away = network.cluster.hsms[1]!.settings.id;
    await network.cutOff(away);
    const listed = await runCli(prefix, ['key', 'list'], user);
    expect(listed.code).to.equal(0);
    expect(listed.stderr).to.match(
      /^warning: the HSM at 127\.0\.0\.1:\d+ cannot be reached: .*; users and quorums /,
    );
    const creation = createUser('meanwhile');
    const refused = await runCli(prefix, creation, ADMIN);
    expect(refused.code).to.equal(1);
    expect(dataOf(refused)).to.match(
      /^User create failed on 1 of 2 connections: the HSM at .* cannot be reached/,
    );
    expect(await usernames()).not.to.include('meanwhile');
    await network.comeBack(away);
    expect((await runCli(prefix, creation, ADMIN)).code).to.equal(0);
    const { users } = dataOf(await runCli(prefix, ['user', 'list'])) as { users: object[] };
    expect(users.at(-1)).to.deep.include({ username: 'meanwhile', 'cluster-coverage': 'full' });
  });

  it('cannot be reached where no HSM answers: that is said, and the exit status tells', async () => {
    const nowhere = new TestPrefix([{ host: '127.0.0.1', port: 1 }], network.client);
    const run = await runCli(nowhere, ['user', 'list']);
    expect(run.code).to.equal(1);
    expect(run.stdout).to.equal('');
    expect(run.stderr).to.match(/^Failed to initialize hsm1 context\n/);
    nowhere.remove();
  });

  it('are told what is wrong with a command line on stderr, with exit status 2', async () => {
    const run = await runCli(prefix, ['user', 'create', '--username', 'x']);
    expect(run).to.deep.include({ code: 2, stdout: '' });
    expect(run.stderr).to.contain('--role <ROLE>');
    expect((await runCli(prefix, ['help', 'user'])).stdout).to.contain('Usage: cloudhsm-cli user <COMMAND>');
  });
});

describe('cloudhsm-cli: activation', () => {
  it('sets the password of the first admin, once', async () => {
    const network = await NetworkCluster.start({ hsms: 1, activated: false });
    const prefix = new TestPrefix(network.endpoints, network.client);
    const before = dataOf(await runCli(prefix, ['user', 'list'])) as { users: object[] };
    expect(before.users[0]).to.deep.include({ username: 'admin', role: 'unactivated-admin' });
    const activate = await runCli(prefix, ['cluster', 'activate'], { input: ['password9', 'password9'] });
    expect(activate.stdout).to.contain('Cluster activation successful');
    const again = await runCli(prefix, ['cluster', 'activate', '--password', 'password9']);
    expect(again.code).to.equal(1);
    const after = dataOf(await runCli(prefix, ['user', 'list'])) as { users: object[] };
    expect(after.users[0]).to.deep.include({ username: 'admin', role: 'admin', locked: 'false' });
    prefix.remove();
    await network.close();
  });
});
