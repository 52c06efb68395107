import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { pem } from '../../../src/base/pem.js';
import { CKM } from '../../../src/pkcs11/mechanisms.js';
import { loggedIn, PASSWORD } from '../../support/in-process.js';
import { registerKey, secretTemplate, twoOfTwo } from '../../support/key-quorums.js';
import { generateAes, ManagedClusters } from '../../support/managed.js';
import { OfficerKey } from '../../support/officers.js';

describe('cloudhsm_mgmt_util prints what the reference shows', () => {
  let clusters: ManagedClusters;

  afterEach(() => clusters.close());

  describe('of users', () => {
    beforeEach(async () => {
      clusters = await ManagedClusters.start({ hsms: 2 });
    });

    const alice = { name: 'alice', role: 'CU', password: PASSWORD } as const;
    const onSecond = async (command: 'createUser' | 'deleteUser'): Promise<void> => {
      const admin = await loggedIn(clusters.network.cluster.hsms[1]!, 'admin', 'CO');
      await (command === 'createUser' ? admin.send(command, alice) : admin.send(command, alice));
      admin.close();
    };
    const happenings = {
      'user alice is created on the second HSM': () => onSecond('createUser'),
      'alice is deleted on the second HSM': () => onSecond('deleteUser'),
      'HSM 2 is out of reach': () => clusters.network.cutOff('hsm-2'),
      'HSM 2 comes back': () => clusters.network.comeBack('hsm-2'),
    };

    for (const name of [
      'login-and-modes',
      'create-user',
      'create-user-partly',
      'delete-user',
      'change-password',
      'unreachable-server',
      'help',
    ])
      it(name, () => clusters.play(name, happenings));
  });

  describe('of keys and HSMs', () => {
    beforeEach(async () => {
      clusters = await ManagedClusters.start({ hsms: 2 });
      expect(await generateAes(clusters.network, 'one')).to.equal(65);
      expect(await generateAes(clusters.network, 'two', true)).to.equal(129);
    });

    for (const name of ['find-and-share-keys', 'attributes', 'information'])
      it(name, () =>
        clusters.play(name, {}, [
          [/[0-9a-f]{64}$/, 'hash'],
          [/0x[0-9a-f]{6}$/, 'kcv'],
        ]),
      );

    it('writes certificates of the customer and of the manufacturer', async () => {
      await clusters.play('certificates');
      const pem = (path: string): string => readFileSync(path, 'latin1');
      expect(pem(clusters.prefix.path('root.pem'))).to.equal(clusters.network.client.trustAnchor);
      const read = (name: string): X509Certificate => new X509Certificate(pem(clusters.prefix.path(name)));
      const issued = (name: string, by: string): void => {
        expect(read(`${name}.pem`).verify(read(`${by}.pem`).publicKey), name).to.equal(true);
      };
      issued('cluster', 'root');
      issued('hardware', 'manufacturer-root');
      issued('hsm', 'hardware');
      const spki = (name: string): Buffer => read(name).publicKey.export({ type: 'spki', format: 'der' });
      expect(spki('hsm.pem')).to.deep.equal(spki('cluster.pem'));
    });
  });

  describe('of what COs decide together', () => {
    const keys = { admin: new OfficerKey(), officer2: new OfficerKey() };
    const path = (name: string): string => clusters.prefix.path(name);

    beforeEach(async () => {
      clusters = await ManagedClusters.start({ hsms: 2 });
      for (const [name, key] of Object.entries(keys)) {
        const token = Buffer.from(`a token of ${name}`);
        writeFileSync(path(`${name}.token`), token);
        writeFileSync(path(`${name}.token.sig`), key.signFile(token));
        writeFileSync(path(`${name}.pub`), pem('PUBLIC KEY', key.publicKey));
      }
    });

    it('quorum', () =>
      clusters.play(
        'quorum',
        {
          'both sign the token': async () => {
            const token = readFileSync(path('service.token'));
            for (const [name, key] of Object.entries(keys))
              writeFileSync(path(`service.token.${name}`), key.signFile(token));
            const approvers = Object.keys(keys).map(
              (name) =>
                `Approver Type = 2; # 2 for CO, 1 for CU\nApprover Name = ${name};\nApproval File = service.token.${name};`,
            );
            const head =
              'Multi Token File Path = service.token;\nToken File Path = ;\nNumber of Approvals = 2;';
            writeFileSync(path('approval.txt'), [head, ...approvers, ''].join('\n'));
          },
        },
        [[/Token Validity: \d+/, 'validity']],
      ));

    it('key-quorum, which is of CUs', async () => {
      const users = { crypto_user: keys.admin, other_user: keys.officer2 };
      for (const hsm of clusters.network.cluster.hsms)
        for (const [name, key] of Object.entries(users)) {
          const user = await loggedIn(hsm, name, 'CU');
          await registerKey(user, key);
          user.close();
        }
      const client = clusters.network.cluster.connect();
      await client.login('crypto_user', PASSWORD);
      const access = { sharedWith: ['other_user'], quorum: twoOfTwo };
      await client.generateKey(CKM.CKM_AES_KEY_GEN, secretTemplate(), undefined, access);
      client.close();
      await clusters.play(
        'key-quorum',
        {
          'both users sign the token': async () => {
            const token = readFileSync(path('key.token'));
            for (const [name, key] of Object.entries(users))
              writeFileSync(path(`key.token.${name}`), key.signFile(token));
            const approvers = Object.keys(users).map(
              (name) => `Approver Type = 1;\nApprover Name = ${name};\nApproval File = key.token.${name};`,
            );
            const head = 'Multi Token File Path = key.token;\nToken File Path = ;\nNumber of Approvals = 2;';
            writeFileSync(path('approval.txt'), [head, ...approvers, ''].join('\n'));
          },
        },
        [[/Token Validity: \d+/, 'validity']],
      );
    });

    it('second-factor', () => {
      const signed =
        (withKey: boolean, key = keys.officer2) =>
        async (): Promise<void> => {
          const data = JSON.parse(readFileSync(path('authdata'), 'utf8'));
          for (const one of data.Data) {
            expect(one.Digest).to.have.length(44);
            one.Signature = key.signDigest(Buffer.from(one.Digest, 'base64')).toString('base64');
          }
          if (withKey) data.PublicKey = pem('PUBLIC KEY', key.publicKey);
          writeFileSync(path('authdata'), JSON.stringify(data));
        };
      return clusters.play('second-factor', {
        'the digests are signed, and the public key is added': signed(true),
        'the digests are signed': signed(false),
        'somebody else signs the digests': signed(false, keys.admin),
      });
    });
  });

  describe('between clusters', () => {
    const maskingKey = createHash('sha256').update('one backup').digest();

    beforeEach(async () => {
      clusters = await ManagedClusters.start(
        { hsms: 1, maskingKey },
        { hsms: 1, maskingKey, id: 'cluster-clone' },
        { hsms: 1, id: 'cluster-stranger' },
      );
      expect(await generateAes(clusters.network, 'not extractable')).to.equal(65);
    });

    it('synchronize', () =>
      clusters.play('synchronize', {
        'the clone makes a key': async () => {
          await generateAes(clusters.networks[1]!, 'its own');
        },
      }));
  });
});
