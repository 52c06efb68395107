import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { pem } from '../../../src/base/pem.js';
import { newMaskingKey } from '../../../src/hsm/masking.js';
import { managementCommands } from '../../../src/tools/cloudhsm-mgmt-util/tool.js';
import { generateAes, ManagedClusters } from '../../support/managed.js';
import { OfficerKey } from '../../support/officers.js';

/** A golden file per command, in the order of one session: two clusters, one the other's clone, with an HSM each. */
const commands = [
  'listUsers',
  'help',
  'loginHSM',
  'createUser',
  'changePswd',
  'findAllKeys',
  'info',
  'getHSMInfo',
  'listAttributes',
  'server',
  'syncKey',
  'syncUser',
  'getCert',
  'exit',
  'enable_e2e',
  'registerQuorumPubKey',
  'getMValue',
  'deleteUser',
  'setMValue',
  'getToken',
  'approveToken',
  'listTokens',
  'delToken',
  'logoutHSM',
  'getKeyInfo',
  'getAttribute',
  'setAttribute',
  'shareKey',
  'quit',
];

describe('cloudhsm_mgmt_util, command by command', () => {
  it('has a golden file for each', () => {
    expect(commands).to.have.members(managementCommands.map(({ name }) => name));
  });

  it('prints what the reference shows', async () => {
    const maskingKey = newMaskingKey();
    const clusters = await ManagedClusters.start(
      { hsms: 1, maskingKey },
      { hsms: 1, maskingKey, id: 'cluster-clone' },
    );
    const path = (name: string): string => clusters.prefix.path(name);
    const key = new OfficerKey();
    writeFileSync(path('admin.token'), 'a token of admin');
    writeFileSync(path('admin.token.sig'), key.signFile(Buffer.from('a token of admin')));
    writeFileSync(path('admin.pub'), pem('PUBLIC KEY', key.publicKey));
    expect(await generateAes(clusters.network, 'one')).to.equal(65);
    const happenings = {
      'admin signs the token': async () => {
        writeFileSync(path('service.sig'), key.signFile(readFileSync(path('service.token'))));
        const lines = [
          'Multi Token File Path = service.token;',
          'Token File Path = ;',
          'Number of Approvals = 1;',
          'Approver Type = 2;',
          'Approver Name = admin;',
          'Approval File = service.sig;',
        ];
        writeFileSync(path('approval.txt'), `${lines.join('\n')}\n`);
      },
    };
    const names = commands.map((name) => `commands/${name}`);
    await clusters.play(names, happenings, [
      [/[0-9a-f]{64}$/, 'hash'],
      [/0x[0-9a-f]{6}$/, 'kcv'],
      [/Token Validity: \d+/, 'validity'],
    ]);
    await clusters.close();
  });
});
