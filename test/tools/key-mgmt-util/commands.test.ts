import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { readDaemonConfig } from '../../../src/tools/connection/cluster-access.js';
import { keyCommands, runKeyTool } from '../../../src/tools/key-mgmt-util/tool.js';
import { playGoldens } from '../../support/golden.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

/** A golden file per command, in the order of one session. */
const commands = [
  'help',
  'loginStatus',
  'loginHSM',
  'genSymKey',
  'genRSAKeyPair',
  'genECCKeyPair',
  'genDSAKeyPair',
  'genPBEKey',
  'listECCCurveIds',
  'listUsers',
  'listAttributes',
  'getHSMInfo',
  'getPartitionInfo',
  'getCert',
  'Error2String',
  'findKey',
  'findSingleKey',
  'getKeyInfo',
  'getAttribute',
  'setAttribute',
  'sign',
  'verify',
  'exportPubKey',
  'importPubKey',
  'createPublicKey',
  'exSymKey',
  'imSymKey',
  'exportPrivateKey',
  'importPrivateKey',
  'wrapKey',
  'unWrapKey',
  'aesWrapUnwrap',
  'extractMaskedObject',
  'insertMaskedObject',
  'getCaviumPrivKey',
  'IsValidKeyHandlefile',
  'getToken',
  'approveToken',
  'listTokens',
  'delToken',
  'deleteKey',
  'logoutHSM',
  'exit',
];

describe('key_mgmt_util, command by command', () => {
  it('has a golden file for each', () => {
    expect(commands).to.have.members(keyCommands.map(({ name }) => name));
  });

  it('prints what the reference shows', async () => {
    const network = await NetworkCluster.start({ hsms: 2, hsmType: 'hsm1.medium', profile: 'strict' });
    const prefix = new TestPrefix(network.endpoints, network.client);
    writeFileSync(prefix.path('message'), 'sixteen bytes ..');
    const world = {
      values: { password: `"${PASSWORD}"`, prefix: prefix.directory },
      patterns: [
        [/^BER encoded key length is \d+/, 'derlength'],
        [/Attribute size: \d+/, 'size'],
        [/^([0-9A-F]{2} ){7}[0-9A-F]{2}$/, 'data'],
        [/Serial Number {8}:\S+/, 'serial'],
        [/(?<=\/wrapped length )\d+$/, 'length'],
      ],
    } as const;
    const names = commands.map((name) => `key-mgmt-util/commands/${name}`);
    await playGoldens(names, world, async (terminal) => {
      await runKeyTool({ terminal, access: readDaemonConfig(prefix.path('etc/cloudhsm_client.cfg')) });
    });
    await network.close();
    prefix.remove();
  });
});
