import {
  createPrivateKey,
  createPublicKey,
  createVerify,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { readDaemonConfig } from '../../../src/tools/connection/cluster-access.js';
import { runKeyTool } from '../../../src/tools/key-mgmt-util/tool.js';
import { playGolden } from '../../support/golden.js';
import { type ClusterOptions, loggedIn, PASSWORD } from '../../support/in-process.js';
import { registerKey } from '../../support/key-quorums.js';
import { NetworkCluster } from '../../support/network.js';
import { OfficerKey } from '../../support/officers.js';
import { TestPrefix } from '../../support/prefix.js';

describe('key_mgmt_util prints what the reference shows', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;
  const path = (name: string): string => prefix.path(name);
  const read = (name: string): string => readFileSync(path(name), 'utf8');

  async function start(options: ClusterOptions = {}): Promise<void> {
    network = await NetworkCluster.start({ hsms: 2, hsmType: 'hsm1.medium', profile: 'strict', ...options });
    prefix = new TestPrefix(network.endpoints, network.client);
  }

  beforeEach(() => start());

  afterEach(async () => {
    await network.close();
    prefix.remove();
  });

  const play = (name: string, happenings: Readonly<Record<string, () => Promise<void> | void>> = {}) =>
    playGolden(
      `key-mgmt-util/${name}`,
      {
        values: { password: `"${PASSWORD}"`, hidden: PASSWORD, prefix: prefix.directory },
        patterns: [
          [/^BER encoded key length is \d+/, 'derlength'],
          [/Attribute size: \d+/, 'size'],
          [/^([0-9A-F]{2} ){7}[0-9A-F]{2}$/, 'data'],
          [/Serial Number {8}:\S+/, 'serial'],
          [/^Token Validity: \d+ sec$/, 'validity'],
        ],
        happen: async (what) => {
          expect(happenings).to.have.property(what);
          await happenings[what]!();
        },
      },
      async (terminal) => {
        await runKeyTool({ terminal, access: readDaemonConfig(path('etc/cloudhsm_client.cfg')) });
      },
    );

  it('login-and-information', () => play('login-and-information'));

  it('generate', () => play('generate'));

  it('find-and-share', () => play('find-and-share'));

  it('attributes', async () => {
    await play('attributes');
    // The order of a dump, and how numbers, flags and sizes look (reference management-tools, section 5.4).
    expect(read('attr_rsa').split('\n')).to.include.members([
      'OBJ_ATTR_MODULUS_BITS',
      '0x00000800',
      '0x010001',
    ]);
    expect(read('attr_aes').split('\n').slice(0, 6)).to.deep.equal([
      'OBJ_ATTR_CLASS',
      '0x04',
      'OBJ_ATTR_KEY_TYPE',
      '0x1f',
      'OBJ_ATTR_TOKEN',
      '0x01',
    ]);
    expect(read('attr_type')).to.equal('OBJ_ATTR_KEY_TYPE\n0x0000001f\n');
  });

  it('import-and-export', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const secret = randomBytes(32);
    writeFileSync(path('aes.key'), secret);
    writeFileSync(path('rsa.pem'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
    writeFileSync(path('ec.pem'), ec.privateKey.export({ type: 'sec1', format: 'pem' }));
    writeFileSync(path('ec.pub'), ec.publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(path('no.pem'), 'no key');
    await play('import-and-export');
    expect(readFileSync(path('aes.out'))).to.deep.equal(secret);
    expect(createPrivateKey(read('rsa.out')).equals(privateKey)).to.equal(true);
    expect(createPrivateKey(read('ec.out')).equals(ec.privateKey)).to.equal(true);
    expect(createPublicKey(read('ec.pub.out')).equals(ec.publicKey)).to.equal(true);
    for (const name of ['aes.out', 'rsa.out']) expect(statSync(path(name)).mode & 0o777).to.equal(0o600);
  });

  it('wrap', async () => {
    writeFileSync(path('data'), 'sixteen bytes ...');
    writeFileSync(path('aad'), 'more data');
    await play('wrap');
    expect(read('unwrapped_key')).to.equal('sixteen bytes ...');
  });

  it('sign', async () => {
    writeFileSync(path('message'), 'a message');
    await play('sign', {
      'the message is changed': () => writeFileSync(path('message'), 'another message'),
    });
    const verifier = createVerify('sha256').update('a message');
    expect(verifier.verify(createPublicKey(read('rsa.pub')), readFileSync(path('signature')))).to.equal(true);
  });

  it('key-quorum', async () => {
    const keys = { crypto_user: new OfficerKey(), other_user: new OfficerKey() };
    const sign = (names: readonly (keyof typeof keys)[]): void => {
      for (const name of names)
        writeFileSync(path(`token.${name}`), keys[name].signFile(readFileSync(path('token'))));
      const approvals = names.map(
        (name) =>
          `Approver Type = 1; # 2 for CO, 1 for CU\nApprover Name = ${name};\nApproval File = token.${name};`,
      );
      const head = [
        'Multi Token File Path = token;',
        'Token File Path = ;',
        `Number of Approvals = ${names.length};`,
      ];
      writeFileSync(path('approval'), [...head, ...approvals].join('\n'));
    };
    await play('key-quorum', {
      'CUs register keys to approve with': async () => {
        for (const hsm of network.cluster.hsms)
          for (const [name, key] of Object.entries(keys)) {
            const user = await loggedIn(hsm, name, 'CU');
            await registerKey(user, key);
            user.close();
          }
      },
      'there is a message': () => writeFileSync(path('message'), 'a message'),
      'crypto_user signs the token': () => sign(['crypto_user']),
      'both sign the token': () => sign(['crypto_user', 'other_user']),
    });
    expect(readFileSync(path('signature'))).to.have.length(64);
  });

  it('masked-objects', async () => {
    await play('masked-objects', {
      'another cluster makes a masked object': async () => {
        const other = await NetworkCluster.start({ hsms: 1 });
        const connection = await loggedIn(other.cluster.hsms[0]!, 'crypto_user', 'CU');
        const { masked } = await connection.send('generateKey', {
          mechanism: 0x1080,
          template: [
            { type: 0x161, value: Buffer.from([32, 0, 0, 0, 0, 0, 0, 0]) },
            { type: 1, value: Buffer.of(1) },
          ],
        });
        writeFileSync(path('foreign'), masked!);
        await other.close();
      },
    });
    expect(read('cavium.pem')).to.match(/^-----BEGIN RSA PRIVATE KEY-----\n/);
  });

  it('nodes', () =>
    play('nodes', {
      'HSM 2 is out of reach': () => network.cutOff('hsm-2'),
    }));
});
