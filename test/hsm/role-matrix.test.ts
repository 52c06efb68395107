import { expect } from 'chai';
import { Failure } from '../../src/base/errors.js';
import { type CommandName, commands } from '../../src/hsm/commands/index.js';
import { Hsm, type HsmConnection } from '../../src/hsm/hsm.js';
import { type Role, roles } from '../../src/hsm/roles.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

type Who = Role | 'nobody';
const everybody: readonly Who[] = [...roles, 'nobody'];

/** Operations of reference management-tools, section 1.2, and who may do them. A PRECO can only activate the cluster. */
const documented = {
  basicInformation: ['PRECO', 'CO', 'CU', 'AU', 'nobody'],
  ownPassword: ['PRECO', 'CO', 'CU', 'AU'],
  users: ['CO'],
  maskedObjects: ['CO', 'CU', 'AU'],
  keyManagement: ['CU'],
  /** "only a CO may set TRUSTED", the other attributes a CU. */
  keyAttributes: ['CO', 'CU'],
  keyUse: ['CU'],
  /** "The user itself" registers a key to approve with (section 6.2); tokens are for "Admin, CU" (section 6.7). */
  approvals: ['CO', 'CU'],
  /** What HSMs ask each other. */
  betweenHsms: ['AU'],
} as const satisfies Record<string, readonly Who[]>;

/** Which operation each command is. */
const operations: { readonly [N in CommandName]: keyof typeof documented } = {
  login: 'basicInformation',
  logout: 'basicInformation',
  generateRandom: 'basicInformation',
  listUsers: 'basicInformation',
  getUserInfo: 'basicInformation',
  getHsmInfo: 'basicInformation',
  getDeviceCertificates: 'basicInformation',
  getChallenge: 'basicInformation',
  changeSecondFactor: 'ownPassword',
  registerPublicKey: 'approvals',
  getQuorumValues: 'basicInformation',
  setQuorumValue: 'users',
  getTokenTimeouts: 'basicInformation',
  setTokenTimeouts: 'users',
  getToken: 'approvals',
  approveToken: 'approvals',
  listTokens: 'approvals',
  deleteTokens: 'approvals',
  registerTrustAnchor: 'users',
  listTrustAnchors: 'basicInformation',
  deregisterTrustAnchor: 'users',
  setMtlsEnforcement: 'users',
  // "You must be logged in" (the guide's page of the command).
  getMtlsEnforcement: 'ownPassword',
  nextGeneration: 'users',
  createUser: 'users',
  deleteUser: 'users',
  changePassword: 'ownPassword',
  extractMaskedUser: 'users',
  insertMaskedUser: 'users',
  insertMaskedObject: 'maskedObjects',
  extractMaskedObject: 'maskedObjects',
  // A CU is refused behind it: "CO, PCO, AU" (section 4.2).
  findAllKeys: 'maskedObjects',
  getKeyInfo: 'maskedObjects',
  getKeysHash: 'maskedObjects',
  objectDigests: 'betweenHsms',
  objectVersions: 'betweenHsms',
  synchronize: 'basicInformation',
  setKeyAttribute: 'keyAttributes',
  generateKey: 'keyManagement',
  generateKeyPair: 'keyManagement',
  createObject: 'keyManagement',
  copyObject: 'keyManagement',
  withdrawObject: 'keyManagement',
  setAttributes: 'keyManagement',
  shareKey: 'keyManagement',
  unshareKey: 'keyManagement',
  destroyObject: 'keyManagement',
  endSessionObject: 'keyManagement',
  locateObject: 'keyManagement',
  getAttributes: 'keyManagement',
  findObjects: 'keyManagement',
  describeKey: 'keyUse',
  sign: 'keyUse',
  verify: 'keyUse',
  generateIv: 'keyUse',
  deriveKey: 'keyManagement',
  encrypt: 'keyUse',
  decrypt: 'keyUse',
  wrapKey: 'keyUse',
  wrapHostKey: 'keyUse',
  unwrapHostKey: 'keyUse',
  copyMaskedObject: 'keyManagement',
  unwrapKey: 'keyManagement',
};

/** Whether the HSM lets the command begin: what it then makes of an empty request does not matter here. */
async function isLetIn(connection: HsmConnection, name: CommandName): Promise<boolean> {
  try {
    await connection.send(name as 'findObjects', { template: [] });
    return true;
  } catch (error) {
    return !(error instanceof Failure && error.code === 'CKR_USER_NOT_LOGGED_IN');
  }
}

describe('the role matrix of an HSM', () => {
  let hsms: Record<'activated' | 'new', Hsm>;

  before(async () => {
    const [activated] = (await memoryCluster({ hsms: 1 })).hsms;
    const store = openMemoryStore();
    const users = [
      { name: 'admin', role: 'PRECO' as const, passwordHash: await hashNewPassword(PASSWORD) },
      { name: 'service', role: 'AU' as const, passwordHash: await hashNewPassword(PASSWORD) },
    ];
    await Hsm.provision(store, { maskingKey: Buffer.alloc(32, 7), users });
    const isNew = await Hsm.open(store, { ...activated!.settings, id: 'hsm-new' }, activated!.log);
    hsms = { activated: activated!, new: isNew };
  });

  const accounts: { readonly [R in Role]: readonly ['activated' | 'new', string] } = {
    PRECO: ['new', 'admin'],
    AU: ['new', 'service'],
    CO: ['activated', 'admin'],
    CU: ['activated', 'crypto_user'],
  };

  async function connected(who: Who): Promise<HsmConnection> {
    if (who === 'nobody') return hsms.activated.connect();
    const [which, name] = accounts[who];
    const connection = hsms[which].connect();
    await connection.send('login', { name, password: PASSWORD, role: who });
    return connection;
  }

  for (const who of everybody) {
    it(`lets ${who} give the documented commands, and no other`, async () => {
      for (const name of Object.keys(commands) as CommandName[]) {
        const connection = await connected(who);
        const isDocumented = (documented[operations[name]] as readonly Who[]).includes(who);
        expect(await isLetIn(connection, name), `${name} by ${who}`).to.equal(isDocumented);
        connection.close();
      }
    });
  }
});
