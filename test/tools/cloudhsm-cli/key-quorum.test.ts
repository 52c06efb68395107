import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { answersOf, runCli } from '../../support/cli.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { OfficerKey } from '../../support/officers.js';
import { TestPrefix } from '../../support/prefix.js';

const pem = (der: Buffer): string =>
  `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;
const login = (name: string) => `login --username ${name} --role crypto-user --password '${PASSWORD}'`;

/** As people do it, between two commands: the digest in the file is signed with `openssl pkeyutl`. */
function edit<T>(file: string, change: (content: T) => void): void {
  const content = JSON.parse(readFileSync(file, 'utf8')) as T;
  change(content);
  writeFileSync(file, JSON.stringify(content));
}

interface KeyToken {
  version: string;
  service: string;
  key_reference: string;
  approval_data: string;
  token: string;
  signatures: { username: string; role: string; signature: string }[];
}

describe('cloudhsm-cli: keys with a quorum', () => {
  const keys = { crypto_user: new OfficerKey(), other_user: new OfficerKey() };
  let network: NetworkCluster;
  let prefix: TestPrefix;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints.slice(0, 1), network.client);
    await session(...registration('crypto_user'), ...registration('other_user'));
  });

  after(async () => {
    prefix.remove();
    await network.close();
  });

  type Step = string | (() => string);
  const session = async (...input: Step[]) =>
    answersOf(await runCli(prefix, ['interactive'], { input: [...input, 'quit'] }));

  const registration = (name: keyof typeof keys): Step[] => {
    const file = prefix.path(`${name}.token`);
    prefix.write(`${name}.pub`, pem(keys[name].publicKey));
    return [
      login(name),
      `quorum token-sign generate --service registration --token ${file}`,
      () => {
        edit<{ tokens: { unsigned: string; signed: string }[] }>(file, ({ tokens }) => {
          for (const token of tokens)
            token.signed = keys[name].signDigest(Buffer.from(token.unsigned, 'base64')).toString('base64');
        });
        return `user change-quorum token-sign register --public-key ${prefix.path(`${name}.pub`)} --signed-token ${file}`;
      },
      'logout',
    ];
  };

  /** A token for the key of a label, signed by some before the next command. */
  const approved = (
    service: string,
    label: string,
    next: (file: string) => string,
    signers: readonly (keyof typeof keys)[] = ['crypto_user', 'other_user'],
    file = prefix.path('token'),
  ): Step[] => [
    `quorum token-sign generate --service ${service} --token ${file} --filter attr.label=${label}`,
    () => {
      edit<KeyToken>(file, (content) => {
        for (const username of signers) {
          const signature = keys[username]
            .signDigest(Buffer.from(content.token, 'base64'))
            .toString('base64');
          content.signatures.push({ username, role: 'crypto-user', signature });
        }
      });
      return next(file);
    },
  ];

  const quorum = '--share-crypto-users other_user';
  const pairQuorum = `${quorum} --manage-private-key-quorum-value 2 --use-private-key-quorum-value 2`;
  const secretQuorum = `${quorum} --manage-key-quorum-value 2 --use-key-quorum-value 2`;
  const pair = (label: string) =>
    `key generate-asymmetric-pair ec --curve prime256v1 --public-label ${label}-public --private-label ${label} --public-attributes verify=true --private-attributes sign=true ${pairQuorum}`;
  const aes = (label: string) =>
    `key generate-symmetric aes --label ${label} --key-length-bytes 32 --attributes wrap=true unwrap=true encrypt=true ${secretQuorum}`;
  const data = Buffer.from('abc123').toString('base64');
  const sign = (label: string, more = '') =>
    `crypto sign ecdsa --key-filter attr.label=${label} --hash-function sha256 --data ${data}${more}`;
  const texts = (answers: { error_code: number; data: unknown }[]) =>
    answers.map(({ error_code, data: text }) =>
      error_code === 0 ? 'ok' : (text as string).replace(/key \d+/, 'key'),
    );

  it('sign when two have approved it, once, on whichever HSM', async () => {
    const file = prefix.path('token');
    const answers = await session(
      login('crypto_user'),
      pair('signing'),
      sign('signing'),
      ...approved('key-usage', 'signing', (path) => sign('signing', ` --approval ${path}`), ['crypto_user']),
      () => {
        const second = keys.other_user;
        edit<KeyToken>(file, ({ signatures, token }) => {
          const signature = second.signDigest(Buffer.from(token, 'base64')).toString('base64');
          signatures.push({ username: 'other_user', role: 'crypto-user', signature });
        });
        return sign('signing', ` --approval ${file}`);
      },
      sign('signing', ` --approval ${file}`),
      sign('signing'),
      'quorum token-sign list',
      'key list --filter attr.label=signing --verbose',
    );
    // As somebody measured it on CloudHSM with the CLI of 5.18 (section 6.8).
    expect(texts(answers)).to.deep.equal([
      'ok',
      'ok',
      'Quorum Failed',
      'ok',
      'Too few quorum approvals: currently 1 approvals, but 2 approvals required',
      'ok',
      'Invalid username-signature pair for quorum authorization',
      'Quorum Failed',
      'ok',
      'ok',
    ]);
    const signed = answers[5]!.data as { signature: string };
    const listed = answers[9]!.data as { matched_keys: { attributes: Record<string, string> }[] };
    const point = Buffer.from(listed.matched_keys[0]!.attributes['ec-point']!.slice(2), 'hex');
    const spki = Buffer.concat([
      Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
      point.subarray(-65),
    ]);
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const signature = Buffer.from(signed.signature, 'base64');
    const dsa = { key, dsaEncoding: 'ieee-p1363' } as const;
    expect(verify('sha256', Buffer.from('abc123'), dsa, signature)).to.equal(true);
    expect(answers[8]!.data).to.deep.equal({ tokens: [] });
    expect(listed.matched_keys[0]).to.have.deep.nested.property('key-info.key-quorum-values', {
      'manage-key-quorum-value': 2,
      'use-key-quorum-value': 2,
    });
  });

  it('have tokens of the documented form: a record of 80 bytes for each HSM', async () => {
    const file = prefix.path('token');
    const answers = await session(
      login('crypto_user'),
      aes('formed'),
      `quorum token-sign generate --service key-management --token ${file} --filter attr.label=formed`,
    );
    const { key } = answers[1]!.data as { key: { 'key-reference': string } };
    const { approval_data, token, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as KeyToken;
    expect(rest).to.deep.equal({
      version: '2.0',
      service: 'key-management',
      key_reference: key['key-reference'],
      signatures: [],
    });
    const records = Buffer.from(approval_data, 'base64');
    expect(records).to.have.length(160);
    for (const at of [0, 80]) {
      expect([records.readUInt16BE(at), records.readUInt16BE(at + 2)]).to.deep.equal([2, 6]);
      expect(records.readBigUInt64BE(at + 8)).to.equal(BigInt(key['key-reference']));
      expect(records.subarray(at + 32, at + 64).toString('latin1')).to.equal('crypto_user'.padEnd(32, '\0'));
    }
    expect(token).to.equal(createHash('sha256').update(records).digest('base64'));
  });

  it('are shared, changed, wrapped and unwrapped with approvals', async () => {
    const change = 'key set-attribute --filter attr.label=managed --name encrypt --value false';
    const share = (how: string) =>
      `key ${how} --filter attr.label=managed --username other_user --role crypto-user`;
    const wrapped = prefix.path('wrapped');
    const wrapping = `key wrap aes-zero-pad --payload-filter attr.label=payload --wrapping-filter attr.label=managed --path ${wrapped}`;
    const unwrapping = `key unwrap aes-zero-pad --filter attr.label=managed --data-path ${wrapped} --key-type-class aes --label back ${secretQuorum}`;
    const withApproval = (line: string) => (path: string) => `${line} --approval ${path}`;
    const both = prefix.path('wrapping-token');
    const answers = await session(
      login('crypto_user'),
      aes('managed'),
      aes('payload'),
      change,
      ...approved('key-usage', 'managed', withApproval(change)),
      ...approved('key-management', 'managed', withApproval(change)),
      share('share'),
      ...approved('key-management', 'managed', withApproval(share('share'))),
      ...approved('key-management', 'managed', withApproval(share('unshare'))),
      wrapping,
      ...approved(
        'key-management',
        'managed',
        (path) => `${wrapping} --wrapping-approval ${path}`,
        undefined,
        both,
      ),
      ...approved(
        'key-management',
        'payload',
        (path) => `${wrapping} --wrapping-approval ${both} --payload-approval ${path}`,
      ),
      unwrapping,
      ...approved('key-management', 'managed', withApproval(unwrapping)),
      'key list --filter attr.label=back --verbose',
      'quorum token-sign list',
      'key delete --filter attr.label=managed',
    );
    const failed = 'Quorum Failed';
    expect(texts(answers)).to.deep.equal([
      ...['ok', 'ok', 'ok'],
      failed,
      ...['ok', failed],
      ...['ok', 'ok'],
      failed,
      ...['ok', 'ok'],
      // Nobody could use it then.
      ...['ok', 'key needs other_user for its quorum: share it first'],
      failed,
      ...['ok', failed],
      ...['ok', 'ok'],
      failed,
      ...['ok', 'ok'],
      ...['ok', 'ok', 'ok'],
    ]);
    expect(answers.at(-3)!.data).to.have.deep.nested.property('matched_keys[0].key-info.key-quorum-values', {
      'manage-key-quorum-value': 2,
      'use-key-quorum-value': 2,
    });
  });
});
