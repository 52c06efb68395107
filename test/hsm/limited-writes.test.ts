import { expect } from 'chai';
import type { Failure } from '../../src/base/errors.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { type CommandName, commands, type RequestOf } from '../../src/hsm/commands/index.js';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { type LastingWrite, lastingWrites } from '../../src/hsm/limited-writes.js';
import type { Role } from '../../src/hsm/roles.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';
import { aesKey, flags, template } from '../support/program.js';

/** "Token-key create/delete, user changes, quorum operations, key-attribute changes, mTLS registration rejected; reads and session keys
 * work" (reference on the control plane, section 8.6): what goes on, whoever asks for whatever. */
const goesOn: readonly CommandName[] = [
  ...([
    'login',
    'logout',
    'listUsers',
    'getUserInfo',
    'getChallenge',
    'getQuorumValues',
    'getTokenTimeouts',
    'listTokens',
  ] as const),
  ...([
    'generateRandom',
    'generateIv',
    'locateObject',
    'getAttributes',
    'findObjects',
    'describeKey',
  ] as const),
  ...([
    'getKeyInfo',
    'findAllKeys',
    'getKeysHash',
    'getHsmInfo',
    'getDeviceCertificates',
    'sign',
    'verify',
    'encrypt',
    'decrypt',
  ] as const),
  ...(['wrapKey', 'wrapHostKey', 'unwrapHostKey'] as const),
  // HSMs among themselves, and users and keys on their way to another cluster.
  ...([
    'objectDigests',
    'objectVersions',
    'extractMaskedObject',
    'extractMaskedUser',
    'synchronize',
  ] as const),
  ...(['nextGeneration', 'listTrustAnchors', 'getMtlsEnforcement'] as const),
  // What failed half-way is taken back, and session keys end.
  ...(['withdrawObject', 'endSessionObject'] as const),
];

const aes = CKM.CKM_AES_KEY_GEN;
const aesTemplate = (token: boolean): Template =>
  template({ CKA_VALUE_LEN: 32, CKA_TOKEN: token, ...flags('CKA_ENCRYPT') });
const ec = template({ CKA_EC_PARAMS: Buffer.from('06082a8648ce3d030107', 'hex') });
const token = [attribute(CKA.CKA_TOKEN, true)];
const label = attribute(CKA.CKA_LABEL, 'other');

/** What tests know of an HSM that limits writes. */
interface Known {
  readonly tokenKey: number;
  readonly sessionKey: number;
  readonly masked: Buffer;
}

const nobody = { name: 'nobody', role: 'CU' as const };
const registration = { publicKey: Buffer.alloc(1), signature: Buffer.alloc(1) };

/** Of each row a request that writes what lasts: refused before anything else is looked at. */
const writes: { readonly [N in LastingWrite]: readonly [Role, (known: Known) => RequestOf<N>] } = {
  createUser: ['CO', () => ({ ...nobody, password: PASSWORD })],
  deleteUser: ['CO', () => nobody],
  changePassword: ['CU', () => ({ name: 'crypto_user', role: 'CU', password: PASSWORD })],
  insertMaskedUser: ['CO', ({ masked }) => ({ masked })],
  changeSecondFactor: ['CU', () => ({ name: 'crypto_user', role: 'CU' })],
  registerPublicKey: ['CU', () => ({ ...registration, token: Buffer.alloc(1) })],
  setQuorumValue: ['CO', () => ({ service: 'user', value: 2 })],
  setTokenTimeouts: ['CO', () => ({ generated: 900 })],
  getToken: ['CO', () => ({ service: 'user' })],
  approveToken: ['CO', () => ({ approvalData: Buffer.alloc(0), approvals: [] })],
  deleteTokens: ['CO', () => ({ scope: 'all' })],
  registerTrustAnchor: ['CO', () => ({ certificate: 'x' })],
  deregisterTrustAnchor: ['CO', () => ({ reference: 1 })],
  setMtlsEnforcement: ['CO', () => ({ level: 'none' })],
  generateKey: ['CU', () => ({ mechanism: aes, template: aesTemplate(true) })],
  generateKeyPair: [
    'CU',
    () => ({
      mechanism: CKM.CKM_EC_KEY_PAIR_GEN,
      publicTemplate: ec,
      privateTemplate: token,
    }),
  ],
  createObject: [
    'CU',
    () => ({
      template: template({ ...aesKey, CKA_VALUE: Buffer.alloc(16, 1), CKA_TOKEN: true }),
    }),
  ],
  copyObject: ['CU', ({ tokenKey: handle }) => ({ handle, template: [] })],
  deriveKey: [
    'CU',
    ({ tokenKey: handle }) => ({
      handle,
      mechanism: { type: CKM.CKM_CLOUDHSM_SP800_108_COUNTER_KDF, parameter: undefined },
      template: token,
    }),
  ],
  unwrapKey: [
    'CU',
    ({ tokenKey: unwrappingKey }) => ({
      unwrappingKey,
      mechanism: { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, parameter: undefined },
      wrapped: Buffer.alloc(24),
      template: template({ ...aesKey, CKA_TOKEN: true }),
    }),
  ],
  insertMaskedObject: ['CU', ({ masked }) => ({ masked })],
  copyMaskedObject: ['CU', ({ masked }) => ({ masked })],
  destroyObject: ['CU', ({ tokenKey: handle }) => ({ handle })],
  setAttributes: ['CU', ({ tokenKey: handle }) => ({ handle, template: [label] })],
  setKeyAttribute: ['CU', ({ sessionKey: handle }) => ({ handle, attribute: token[0]! })],
  shareKey: ['CU', ({ tokenKey: handle }) => ({ handle, user: 'other_user' })],
  unshareKey: ['CU', ({ tokenKey: handle }) => ({ handle, user: 'other_user' })],
};

/** The code of a refusal, or CKR_OK. */
async function answerTo(send: () => unknown): Promise<string> {
  try {
    await send();
    return 'CKR_OK';
  } catch (error) {
    return (error as Failure).code;
  }
}

describe('an HSM in limited-write mode', () => {
  let cluster: Cluster;
  let client: ClusterClient;
  let known: Known;
  const connections = new Map<Role, HsmConnection>();

  before(async () => {
    cluster = await memoryCluster({ hsms: 2 });
    const hsm = cluster.hsms[0]!;
    client = cluster.connect();
    await client.login('crypto_user', PASSWORD);
    const tokenKey = await client.generateKey(aes, aesTemplate(true));
    connections.set('CU', await loggedIn(hsm, 'crypto_user', 'CU'));
    connections.set('CO', await loggedIn(hsm, 'admin', 'CO'));
    const crypto = connections.get('CU')!;
    const { handle: sessionKey } = await crypto.send('generateKey', {
      mechanism: aes,
      template: aesTemplate(false),
    });
    const masked = await crypto.send('extractMaskedObject', { handle: tokenKey });
    known = { tokenKey, sessionKey, masked };
    for (const member of cluster.hsms) await member.limitWrites(true);
  });
  after(async () => {
    client.close();
    await cluster.close();
  });

  it('knows of every command whether it writes what lasts', () => {
    const undecided = Object.keys(commands).filter(
      (name) => !Object.hasOwn(lastingWrites, name) && !goesOn.includes(name as CommandName),
    );
    expect(undecided).to.deep.equal([]);
    expect(goesOn.filter((name) => Object.hasOwn(lastingWrites, name))).to.deep.equal([]);
  });

  for (const [name, [role, request]] of Object.entries(writes))
    it(`refuses ${name}`, async () => {
      const send = () => connections.get(role)!.send(name as LastingWrite, request(known) as never);
      expect(await answerTo(send)).to.equal('CKR_TOKEN_WRITE_PROTECTED');
    });

  it('works with keys, and makes, changes and destroys session keys', async () => {
    const crypto = connections.get('CU')!;
    const mechanism = { type: CKM.CKM_AES_ECB };
    const input = Buffer.alloc(16);
    for (const handle of [known.tokenKey, known.sessionKey])
      await crypto.send('encrypt', { handle, mechanism, input } as never);
    const made = await crypto.send('generateKey', { mechanism: aes, template: aesTemplate(false) });
    expect(
      await answerTo(() => crypto.send('setAttributes', { handle: made.handle, template: [label] })),
    ).to.equal('CKR_OK');
    expect(await answerTo(() => crypto.send('destroyObject', { handle: made.handle }))).to.equal('CKR_OK');
  });

  it('tells nobody of objects, or of anything to those who are not logged in', async () => {
    const other = await loggedIn(cluster.hsms[0]!, 'other_user', 'CU');
    const destroy = (connection: HsmConnection) => () =>
      connection.send('destroyObject', { handle: known.tokenKey });
    expect(await answerTo(destroy(other))).to.equal('CKR_OBJECT_HANDLE_INVALID');
    expect(await answerTo(destroy(cluster.hsms[0]!.connect()))).to.equal('CKR_USER_NOT_LOGGED_IN');
    other.close();
  });

  it('leaves no half-made key behind, and takes new ones when the mode is over', async () => {
    const before = cluster.hsms.map(({ objects }) => objects.count);
    expect(await answerTo(() => client.generateKey(aes, aesTemplate(true)))).to.equal(
      'CKR_TOKEN_WRITE_PROTECTED',
    );
    await cluster.hsms[0]!.limitWrites(false);
    expect(await answerTo(() => client.generateKey(aes, aesTemplate(true)))).to.equal(
      'CKR_TOKEN_WRITE_PROTECTED',
    );
    expect(cluster.hsms.map(({ objects }) => objects.count)).to.deep.equal(before);
    for (const hsm of cluster.hsms) await hsm.limitWrites(false);
    expect(await answerTo(() => client.generateKey(aes, aesTemplate(true)))).to.equal('CKR_OK');
    expect(cluster.hsms.map(({ objects }) => objects.count)).to.deep.equal(before.map((count) => count + 1));
  });

  it('has done what was under way when the mode begins: a backup made then has it', async () => {
    const [hsm] = cluster.hsms;
    const admin = connections.get('CO')!;
    const bob = { name: 'bob', role: 'CU', password: PASSWORD } as const;
    const creating = answerTo(() => admin.send('createUser', bob));
    const refused = answerTo(() => admin.send('createUser', { ...bob, password: 'short' }));
    await hsm!.limitWrites(true);
    expect(hsm!.users.find('bob')).to.not.equal(undefined);
    expect(await creating).to.equal('CKR_OK');
    expect(await refused).to.equal('CKR_PIN_LEN_RANGE');
    expect(await answerTo(() => admin.send('deleteUser', bob))).to.equal('CKR_TOKEN_WRITE_PROTECTED');
    await hsm!.limitWrites(false);
  });
});
