import { expect } from 'chai';
import type { Cluster } from '../../../src/cluster/cluster.js';
import { auditRows } from '../../../src/hsm/audit/commands.js';
import { type AuditRecord, recordText } from '../../../src/hsm/audit/entry.js';
import type { Hsm } from '../../../src/hsm/hsm.js';
import { CKA } from '../../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../../src/pkcs11/constants.js';
import type { Mechanism } from '../../../src/pkcs11/layouts.js';
import { CKM } from '../../../src/pkcs11/mechanisms.js';
import { attribute } from '../../../src/pkcs11/template.js';
import { codeOf } from '../../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../../support/in-process.js';
import { oaep as oaepSha256 } from '../../support/program.js';
import { TestAuthority } from '../../support/tls.js';

const everything = (hsm: Hsm): AuditRecord[] => hsm.audit.read(0, 100_000);

/** What an HSM has logged since `from`, once it is written. */
async function since(hsm: Hsm, from: number): Promise<string[]> {
  await hsm.audit.close();
  return hsm.audit
    .read(from, 1000)
    .map(({ opcode, response, user, keys }) =>
      [opcode, response, user && `${user.name} ${user.role}`, keys && `${keys.secret} ${keys.public}`]
        .filter((part) => part !== undefined)
        .join(' '),
    );
}

const aes = (token: boolean, label = 'k') => [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, token),
  attribute(CKA.CKA_ENCRYPT, true),
  attribute(CKA.CKA_LABEL, label),
];

describe('the audit log of an HSM', () => {
  let cluster: Cluster;
  let first: Hsm;
  let second: Hsm;

  beforeEach(async () => {
    cluster = await memoryCluster();
    [first, second] = cluster.hsms as [Hsm, Hsm];
  });

  it('begins as that of a new cluster does, numbered from 0', () => {
    // Reference management-tools, section 8.1: "First stream of a cluster".
    expect(everything(first).map(({ sequence, opcode }) => [sequence, opcode])).to.deep.equal([
      [0, 'CN_INIT_TOKEN'],
      [1, 'CN_GEN_PSWD_ENC_KEY'],
      [2, 'CN_CREATE_APPLIANCE_USER'],
      [3, 'CN_INIT_DONE'],
      [4, 'CN_CHANGE_PSWD'],
      [5, 'CN_CREATE_USER'],
      [6, 'CN_CREATE_USER'],
    ]);
    expect(everything(first)[4]!.user).to.deep.equal({ name: 'admin', role: 'PRECO' });
  });

  // Opcodes of ours: the reference names none for them (management-tools, section 8.1).
  it('has changes of who may connect, and of how long tokens live', async () => {
    const admin = await loggedIn(first, 'admin', 'CO');
    const from = first.audit.next;
    const certificate = (await TestAuthority.make()).authority.trustAnchor;
    await admin.send('registerTrustAnchor', { certificate });
    await codeOf(() => admin.send('registerTrustAnchor', { certificate }));
    await admin.send('deregisterTrustAnchor', { reference: 1 });
    await codeOf(() => admin.send('setMtlsEnforcement', { level: 'cluster' }));
    await admin.send('setTokenTimeouts', { generated: 60 });
    expect(await since(first, from)).to.deep.equal([
      'CN_CERT_AUTH_STORE_CERT SUCCESS',
      'CN_CERT_AUTH_STORE_CERT BAD_ARGUMENTS',
      'CN_CERT_AUTH_REMOVE_CERT SUCCESS',
      'CN_SET_MTLS_ENFORCEMENT ACCESS_DENIED',
      'CN_SET_TOKEN_TIMEOUT SUCCESS',
    ]);
    const text = recordText(everything(first)[from]!);
    expect(text).to.contain('Command Type(hex) : CN_CERT_AUTH_CMD (0x9)');
  });

  it('has users and their logins, with what the HSM answered', async () => {
    const from = first.audit.next;
    const admin = await loggedIn(first, 'admin', 'CO');
    await codeOf(() => loggedIn(first, 'nobody', 'CU'));
    await codeOf(() => loggedIn(first, 'crypto_user', 'CU', 'a wrong password'));
    await codeOf(() => loggedIn(first, 'admin', 'CU'));
    const bob = { name: 'Bob', role: 'CU', password: PASSWORD } as const;
    await admin.send('createUser', bob);
    await codeOf(() => admin.send('createUser', bob));
    await admin.send('changePassword', bob);
    await admin.send('deleteUser', bob);
    await admin.send('createUser', { ...bob, role: 'CO' });
    await admin.send('logout', undefined);
    expect(await since(first, from)).to.deep.equal([
      'CN_LOGIN SUCCESS admin CO',
      'CN_LOGIN USER_UNKNOWN nobody CU',
      'CN_LOGIN LOGIN_FAILURE crypto_user CU',
      'CN_LOGIN NO_SUCH_USER admin CU',
      'CN_CREATE_USER SUCCESS bob CU',
      'CN_CREATE_USER ACCESS_DENIED bob CU',
      'CN_CHANGE_PSWD SUCCESS bob CU',
      'CN_DELETE_USER SUCCESS bob CU',
      'CN_CREATE_CO SUCCESS bob CO',
      'CN_LOGOUT SUCCESS admin CO',
    ]);
  });

  it('has keys: made and given away by one HSM, taken by the others under the same handle', async () => {
    const client = cluster.connect();
    await client.login('crypto_user', PASSWORD);
    const [from, fromSecond] = [first.audit.next, second.audit.next];
    const token = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    const session = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(false));
    await client.shareKey(token, 'other_user');
    await client.destroyObject(session);
    await client.destroyObject(token);
    await codeOf(() => client.destroyObject(token));
    await codeOf(() => client.send('destroyObject', { handle: 12 }));
    client.close();
    expect(await since(first, from)).to.deep.equal([
      `CN_GENERATE_KEY SUCCESS ${token} 0`,
      `CN_EXTRACT_MASKED_OBJECT_USER SUCCESS ${token} 0`,
      `CN_GENERATE_KEY SUCCESS ${session} 0`,
      `CN_SHARE_OBJECT SUCCESS ${token} 0`,
      `CN_DESTROY_OBJECT SUCCESS ${session} 0`,
      `CN_TOMBSTONE_OBJECT SUCCESS ${token} 0`,
      'CN_DESTROY_OBJECT INVALID_HANDLE 12 0',
      'CN_APP_FINALIZE SUCCESS',
    ]);
    expect(await since(second, fromSecond)).to.deep.equal([
      `CN_INSERT_MASKED_OBJECT_USER SUCCESS ${token} 0`,
      `CN_SHARE_OBJECT SUCCESS ${token} 0`,
      `CN_TOMBSTONE_OBJECT SUCCESS ${token} 0`,
      'CN_APP_FINALIZE SUCCESS',
    ]);
  });

  it('has keys that go out wrapped, and come in', async () => {
    const client = cluster.connect();
    await client.login('crypto_user', PASSWORD);
    const may = (...types: number[]) => types.map((type) => attribute(type, true));
    const kek = await client.generateKey(CKM.CKM_AES_KEY_GEN, [
      ...aes(true),
      ...may(CKA.CKA_WRAP, CKA.CKA_UNWRAP),
    ]);
    const pair = await client.generateKeyPair(
      CKM.CKM_RSA_PKCS_KEY_PAIR_GEN,
      [
        attribute(CKA.CKA_MODULUS_BITS, 2048),
        attribute(CKA.CKA_PUBLIC_EXPONENT, Buffer.from([1, 0, 1])),
        ...may(CKA.CKA_WRAP, CKA.CKA_TOKEN),
      ],
      may(CKA.CKA_UNWRAP, CKA.CKA_TOKEN),
    );
    const key = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(false));
    await first.audit.close();
    const from = first.audit.next;
    const template = [attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY), attribute(CKA.CKA_KEY_TYPE, CKK.CKK_AES)];
    const there = async (mechanism: Mechanism, wrappingKey: number): Promise<Buffer> =>
      (await client.wrapKey({ wrappingKey, handle: key, mechanism, roomBytes: 1024 })).wrapped!;
    const back = async (mechanism: Mechanism, unwrappingKey: number, wrapped: Buffer): Promise<number> =>
      (await client.unwrapKey({ unwrappingKey, mechanism, wrapped, template }, () => undefined)).handle;
    const kwp = { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, parameter: undefined };
    await client.wrapKey({ wrappingKey: kek, handle: key, mechanism: kwp, roomBytes: 0 });
    const byAes = await back(kwp, kek, await there(kwp, kek));
    const oaep = { type: CKM.CKM_RSA_PKCS_OAEP, parameter: oaepSha256 };
    const byRsa = await back(oaep, pair.privateKey, await there(oaep, pair.publicKey));
    expect(await codeOf(() => back(kwp, kek, Buffer.alloc(40)))).to.equal('CKR_WRAPPED_KEY_INVALID');
    expect(await since(first, from)).to.deep.equal([
      `CN_WRAP_KEY SUCCESS ${key} 0`,
      `CN_NIST_AES_WRAP SUCCESS ${kek} 0`,
      `CN_NIST_AES_WRAP SUCCESS ${kek} 0`,
      `CN_UNWRAP_KEY SUCCESS ${byAes} 0`,
      `CN_WRAP_KEY SUCCESS ${key} 0`,
      `CN_UNWRAP_KEY SUCCESS ${byRsa} 0`,
      'CN_UNWRAP_KEY FAILED 0 0',
    ]);
    client.close();
  });

  it('stays whole when a program takes for a handle what no HSM gives', async () => {
    const client = await loggedIn(first, 'crypto_user', 'CU');
    const kek = await client.send('generateKey', {
      mechanism: CKM.CKM_AES_KEY_GEN,
      template: [...aes(false), attribute(CKA.CKA_WRAP, true)],
    });
    await first.audit.close();
    const from = first.audit.next;
    const mechanism = { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, parameter: undefined };
    for (const handle of [2 ** 53, 2 ** 64]) {
      const request = { wrappingKey: kek.handle, handle, mechanism, roomBytes: 1024 };
      expect(await codeOf(() => client.send('wrapKey', request))).to.equal('CKR_KEY_HANDLE_INVALID');
      expect(await codeOf(() => client.send('destroyObject', { handle }))).to.equal(
        'CKR_OBJECT_HANDLE_INVALID',
      );
    }
    for (const line of await since(first, from)) expect(line).to.match(/ 0 0$/);
    expect((await first.audit.verify()).problem).to.equal(undefined);
  });

  it('has nothing of what keys are used for, nor of what only reads', async () => {
    const client = cluster.connect();
    await client.login('crypto_user', PASSWORD);
    const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(false));
    await first.audit.close();
    const from = first.audit.next;
    const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
    await client.send('encrypt', { handle, mechanism, input: Buffer.alloc(16) });
    await client.send('getAttributes', { handle, types: [CKA.CKA_LABEL] });
    await client.findObjects([]);
    await client.send('listUsers', undefined);
    await client.send('generateRandom', { lengthBytes: 8 });
    expect(await since(first, from)).to.deep.equal([]);
    const unlogged = [
      'sign',
      'verify',
      'encrypt',
      'decrypt',
      'generateRandom',
      'findObjects',
      'getAttributes',
    ];
    expect(Object.keys(auditRows)).not.to.include.members(unlogged);
  });

  it('never holds a secret, nor what may be one at the wrong place', async () => {
    const canary = 'CANARY-7f3a';
    const admin = await loggedIn(first, 'admin', 'CO');
    await admin.send('createUser', { name: 'canary', role: 'CU', password: `${canary}-password` });
    await codeOf(() => loggedIn(first, `${canary} as a name`, 'CU', `${canary}-wrong`));
    const user = await loggedIn(first, 'canary', 'CU', `${canary}-password`);
    await user.send('generateKey', {
      mechanism: CKM.CKM_AES_KEY_GEN,
      template: aes(true, `${canary}-label`),
    });
    await user.send('changePassword', { name: 'canary', role: 'CU', password: `${canary}-new` });
    await first.audit.close();
    const text = everything(first)
      .map((record) => `${JSON.stringify(record)} ${recordText(record)}`)
      .join('\n');
    expect(text).not.to.contain(canary);
    expect(text).to.contain('canary');
  });

  it("has CloudHSM's form", () => {
    const record: AuditRecord = {
      timeUs: 1_516_067_379_437_708,
      sequence: 1,
      rebootCounter: 0x107,
      opcode: 'CN_CREATE_USER',
      sessionHandle: 0x7014006,
      response: 'SUCCESS',
      logType: 'MGMT_USER_DETAILS_LOG',
      user: { name: 'bob', role: 'CU' },
    };
    // The sample of section 8.1, but for its time of day: 1516067379 s after 1970 is 01:49:39 of January 16th.
    expect(recordText(record)).to.equal(
      [
        'Time: 01/16/18 01:49:39.437708, usecs:1516067379437708',
        'Sequence No : 0x1',
        'Reboot counter : 0x107',
        'Command Type(hex) : CN_MGMT_CMD (0x0)',
        'Opcode : CN_CREATE_USER (0x3)',
        'Session Handle : 0x7014006',
        'Response : 0:HSM Return: SUCCESS',
        'Log type : MGMT_USER_DETAILS_LOG (2)',
        'User Name : bob',
        'User Type : CN_CRYPTO_USER (1)',
      ].join('\n'),
    );
  });
});
