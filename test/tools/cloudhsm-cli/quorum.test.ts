import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { answersOf, runCli } from '../../support/cli.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { OfficerKey } from '../../support/officers.js';
import { TestPrefix } from '../../support/prefix.js';

const LOGIN = 'login --username admin --role admin';
const pem = (der: Buffer): string =>
  `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;

interface Tokens {
  tokens: { unsigned: string; signed: string }[];
}

describe('cloudhsm-cli: second factors and quorums', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;
  const keys = { admin: new OfficerKey(), second: new OfficerKey(), stranger: new OfficerKey() };

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints.slice(0, 1), network.client);
    for (const [name, key] of Object.entries(keys)) prefix.write(`${name}.pub`, pem(key.publicKey));
  });

  afterEach(async () => {
    prefix.remove();
    await network.close();
  });

  type Step = string | (() => string);
  const session = async (...input: Step[]) => answersOf(await runCli(prefix, ['interactive'], { input }));

  /** Signs every token of a file, as the person does between two questions. */
  const signTokens = (file: string, key: OfficerKey): void => {
    const content = JSON.parse(readFileSync(file, 'utf8')) as Tokens;
    for (const token of content.tokens)
      token.signed = key.signDigest(Buffer.from(token.unsigned, 'base64')).toString('base64');
    writeFileSync(file, JSON.stringify(content));
  };
  const approve = (file: string, signers: Record<string, OfficerKey>): void => {
    const content = JSON.parse(readFileSync(file, 'utf8')) as { token: string; signatures: object[] };
    for (const [username, key] of Object.entries(signers)) {
      const signature = key.signDigest(Buffer.from(content.token, 'base64')).toString('base64');
      content.signatures.push({ username, signature });
    }
    writeFileSync(file, JSON.stringify(content));
  };

  it('a user with a second factor logs in with a signature of every HSM, and not without', async () => {
    const file = prefix.path('mfa');
    const change = `user change-mfa token-sign --username crypto_user --role crypto-user --token ${file}`;
    const signed = (key: OfficerKey) => () => {
      signTokens(file, key);
      return '';
    };
    const login = `login --username crypto_user --role crypto-user --password '${PASSWORD}'`;
    const answers = await session(
      LOGIN,
      PASSWORD,
      change,
      'password1',
      'password1',
      signed(keys.second),
      prefix.path('second.pub'),
      'user list',
      'logout',
      login.replace(PASSWORD, 'password1'),
      `${login.replace(PASSWORD, 'password1')} mfa-token-sign --token ${file}`,
      signed(keys.stranger),
      `${login.replace(PASSWORD, 'password1')} mfa-token-sign --token ${file}`,
      signed(keys.second),
      'logout',
      'quit',
    );
    expect(answers.map(({ error_code }) => error_code)).to.deep.equal([0, 0, 0, 0, 1, 1, 0, 0]);
    const { users } = answers[2]!.data as { users: Record<string, unknown>[] };
    const enabled = [{ strategy: 'token-sign', status: 'enabled' }];
    expect(users.find(({ username }) => username === 'crypto_user')).to.deep.include({
      mfa: enabled,
      quorum: enabled,
    });
    const tokens = JSON.parse(readFileSync(file, 'utf8')) as Tokens & { version: string };
    expect(tokens.version).to.equal('2.0');
    expect(tokens.tokens).to.have.length(2);
    expect(Buffer.from(tokens.tokens[0]!.unsigned, 'base64')).to.have.length(32);
  });

  it('a user whose second factor is deregistered has the password that is given with it', async () => {
    const crypto = '--username crypto_user --role crypto-user';
    const answers = await session(
      LOGIN,
      PASSWORD,
      `user change-mfa token-sign ${crypto} --deregister --change-password pass:word`,
      `user change-mfa token-sign ${crypto} --deregister --change-password password2`,
      'logout',
      `login ${crypto} --password password1`,
      `login ${crypto} --password password2`,
      'quit',
    );
    expect(answers.map(({ error_code }) => error_code)).to.deep.equal([0, 1, 0, 0, 1, 0]);
  });

  it('two of two admins approve what a quorum guards, once', async () => {
    const registration = prefix.path('registration');
    const register = (name: 'admin' | 'second') => [
      `quorum token-sign generate --service registration --token ${registration}`,
      () => {
        signTokens(registration, keys[name]);
        return `user change-quorum token-sign register --public-key ${prefix.path(`${name}.pub`)} --signed-token ${registration}`;
      },
    ];
    const token = prefix.path('token');
    const create = (name: string) =>
      `user create --username ${name} --role crypto-user --password password1 --approval ${token}`;
    const answers = await session(
      LOGIN,
      PASSWORD,
      'user create --username second --role admin --password password1',
      ...register('admin'),
      'logout',
      'login --username second --role admin --password password1',
      ...register('second'),
      'quorum token-sign set-quorum-value --service user --value 2',
      'quorum token-sign list-quorum-values',
      'user create --username alice --role crypto-user --password password1',
      `quorum token-sign generate --service user --token ${token}`,
      () => {
        approve(token, { admin: keys.admin });
        return create('alice');
      },
      () => {
        approve(token, { second: keys.stranger });
        return create('alice');
      },
      () => {
        const content = JSON.parse(readFileSync(token, 'utf8')) as { signatures: object[] };
        content.signatures.pop();
        writeFileSync(token, JSON.stringify(content));
        approve(token, { second: keys.second });
        return 'quorum token-sign list';
      },
      create('alice'),
      create('bob'),
      'quorum token-sign list',
      'quorum token-sign delete --scope all',
      'quit',
    );
    const data = answers.map((answer) => answer.data);
    const from = data.indexOf('Set quorum value successful');
    const [values, without, generated, tooFew, invalid, list, created, again, empty, deleted] = data.slice(
      from + 1,
    );
    expect(values).to.deep.include({ user: 2, quorum: 1 });
    expect(without).to.equal('Quorum approval is required for this operation');
    expect(generated).to.deep.equal({ path: token });
    expect(tooFew).to.equal('Too few quorum approvals: currently 1 approvals, but 2 approvals required');
    expect(invalid).to.equal('Invalid username-signature pair for quorum authorization');
    const [{ 'token-timeout-seconds': left, ...entry }] = (list as { tokens: [Record<string, unknown>] })
      .tokens;
    expect(left).to.be.within(1, 600);
    expect(entry).to.deep.equal({
      username: 'second',
      service: 'user',
      'approvals-required': 2,
      'number-of-approvals': 1,
      'cluster-coverage': 'full',
    });
    expect(created).to.deep.equal({ username: 'alice', role: 'crypto-user' });
    expect(again).to.equal('Invalid username-signature pair for quorum authorization');
    expect(empty).to.deep.equal({ tokens: [] });
    expect(deleted).to.equal('Deletion of quorum token(s) successful');
  });

  it('a file of another shape, too long or not there is refused with a reason', async () => {
    const hostile = prefix.write('hostile', '{"approval_data":"!","signatures":[]}');
    const long = prefix.write('long', 'x'.repeat(300_000));
    const words = (file: string) =>
      `user create --username x --role admin --password password1 --approval ${file}`;
    const answers = await session(
      LOGIN,
      PASSWORD,
      ...[hostile, long, '/none', '/dev/zero', prefix.directory].map(words),
      'quit',
    );
    expect(answers.slice(1).map(({ data }) => data)).to.deep.equal([
      'No token signatures provided',
      `${long} cannot be read: it has 300000 bytes, and may have 262144`,
      'there is no file /none',
      '/dev/zero cannot be read: it is no regular file',
      `${prefix.directory} cannot be read: it is no regular file`,
    ]);
  });
});
