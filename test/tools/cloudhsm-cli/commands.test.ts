import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { pem } from '../../../src/base/pem.js';
import { cliCommands } from '../../../src/tools/cloudhsm-cli/commands/index.js';
import { CliClusters } from '../../../src/tools/cloudhsm-cli/context.js';
import { interact } from '../../../src/tools/cloudhsm-cli/interactive.js';
import { readSdk5Clusters } from '../../../src/tools/connection/cluster-access.js';
import { cliPatterns, runCli } from '../../support/cli.js';
import { playGoldens } from '../../support/golden.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { OfficerKey } from '../../support/officers.js';
import { TestPrefix } from '../../support/prefix.js';
import { TestAuthority } from '../../support/tls.js';

/** A golden file per command, in the order of one session. */
const commands = [
  'interactive',
  'cluster-hsm-info',
  'user-list',
  'quorum-token-sign-list-quorum-values',
  'quorum-token-sign-get-quorum-values',
  'quorum-token-sign-list-timeouts',
  'cluster-mtls-list-trust-anchors',
  'cluster-activate',
  'login',
  'key-generate-symmetric-aes',
  'key-generate-symmetric-generic-secret',
  'key-generate-asymmetric-pair-rsa',
  'key-generate-asymmetric-pair-ec',
  'key-generate-asymmetric-pair-ml-dsa',
  'key-list',
  'key-share',
  'key-unshare',
  'key-set-attribute',
  'key-generate-file',
  'key-import-pem',
  'crypto-sign-rsa-pkcs',
  'crypto-sign-rsa-pkcs-pss',
  'crypto-sign-ecdsa',
  'crypto-sign-ed25519',
  'crypto-sign-ed25519ph',
  'crypto-sign-ml-dsa',
  'crypto-verify-rsa-pkcs',
  'crypto-verify-rsa-pkcs-pss',
  'crypto-verify-ecdsa',
  'crypto-verify-ed25519',
  'crypto-verify-ed25519ph',
  'crypto-verify-ml-dsa',
  'key-wrap-aes-no-pad',
  'key-wrap-aes-pkcs5-pad',
  'key-wrap-aes-zero-pad',
  'key-wrap-aes-gcm',
  'key-wrap-cloudhsm-aes-gcm',
  'key-wrap-rsa-aes',
  'key-wrap-rsa-oaep',
  'key-wrap-rsa-pkcs',
  'key-unwrap-aes-no-pad',
  'key-unwrap-aes-pkcs5-pad',
  'key-unwrap-aes-zero-pad',
  'key-unwrap-aes-gcm',
  'key-unwrap-cloudhsm-aes-gcm',
  'key-unwrap-rsa-aes',
  'key-unwrap-rsa-oaep',
  'key-unwrap-rsa-pkcs',
  'key-delete',
  'cluster-mtls-get-enforcement',
  'logout',
  'login-mfa-token-sign',
  'user-create',
  'user-change-password',
  'user-change-mfa-token-sign',
  'user-delete',
  'quorum-token-sign-generate',
  'user-change-quorum-token-sign-register',
  'user-change-quorum-token-sign-activate',
  'cluster-mtls-register-trust-anchor',
  'cluster-mtls-deregister-trust-anchor',
  'cluster-mtls-set-enforcement',
  'quorum-token-sign-set-quorum-value',
  'quorum-token-sign-list',
  'quorum-token-sign-delete',
  'quorum-token-sign-set-timeout',
  'user-replicate',
  'key-replicate',
];

interface Tokens {
  readonly tokens: { unsigned: string; signed: string }[];
}

describe('cloudhsm-cli, command by command', () => {
  it('has a golden file for each', () => {
    expect(commands).to.have.members(cliCommands.map(({ path }) => path.join('-')));
  });

  it('prints what the reference shows', async () => {
    const network = await NetworkCluster.start({ hsms: 2 });
    const prefix = new TestPrefix(network.endpoints, network.client);
    const officer = new OfficerKey();
    prefix.write('officer.pub', pem('PUBLIC KEY', officer.publicKey));
    prefix.write('rootCA', (await TestAuthority.make('mTLS root')).authority.trustAnchor);
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const own = prefix.write('own.pem', publicKey.export({ type: 'spki', format: 'pem' }));
    const data = Buffer.from('abc');
    prefix.write('rsa.sig', sign('sha256', data, privateKey));
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    prefix.write('pss.sig', sign('sha256', data, { key: privateKey, padding, saltLength: 32 }));
    prefix.write('ec.sig', Buffer.alloc(64, 1));
    const words = ['key', 'import', 'pem', '--path', own, '--label', 'own', '--key-type-class', 'rsa-public'];
    const imported = await runCli(prefix, [...words, '--attributes', 'verify=true'], {
      pin: `crypto_user:${PASSWORD}`,
    });
    expect(imported.code).to.equal(0);
    const signAll = (file: string): void => {
      const { tokens, ...rest } = JSON.parse(readFileSync(prefix.path(file), 'utf8')) as Tokens;
      for (const token of tokens)
        token.signed = officer.signDigest(Buffer.from(token.unsigned, 'base64')).toString('base64');
      writeFileSync(prefix.path(file), JSON.stringify({ ...rest, tokens }));
    };
    const world = {
      values: { password: PASSWORD, prefix: prefix.directory },
      patterns: cliPatterns,
      happen: async (what: string) => signAll(`${/the (\w+) token is signed/.exec(what)![1]}.token`),
    };
    const clusters = new CliClusters(readSdk5Clusters(prefix.path('etc/cloudhsm-cli.cfg')));
    const names = commands.map((name) => `cloudhsm-cli/commands/${name}`);
    await playGoldens(names, world, (terminal) => interact(terminal, {}, clusters));
    await clusters.close();
    await network.close();
    prefix.remove();
  });
});
