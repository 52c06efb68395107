import { expect } from 'chai';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';
import { OfficerKey } from '../support/officers.js';

const user = { name: 'crypto_user', role: 'CU' } as const;

describe('the second factor of an HSM', () => {
  const key = new OfficerKey();
  const other = new OfficerKey();
  let hsm: Hsm;
  let admin: HsmConnection;

  beforeEach(async () => {
    [hsm] = (await memoryCluster({ hsms: 1 })).hsms as [Hsm];
    admin = await loggedIn(hsm, 'admin', 'CO');
  });

  async function enable(connection: HsmConnection, officer = key): Promise<void> {
    const challenge = await connection.send('getChallenge', undefined);
    expect(challenge).to.have.length(32);
    const secondFactor = { publicKey: officer.publicKey, signature: officer.signDigest(challenge) };
    await connection.send('changeSecondFactor', { ...user, secondFactor });
  }

  async function login(
    signer: ((challenge: Buffer) => Buffer) | undefined,
    password = PASSWORD,
  ): Promise<string> {
    const connection = hsm.connect();
    const challenge = await connection.send('getChallenge', undefined);
    const signature = signer?.(challenge);
    const code = await codeOf(() => connection.send('login', { ...user, password, signature }));
    connection.close();
    return code;
  }

  const info = () => hsm.users.info('crypto_user')!;

  it('is asked for at the login, beside the password', async () => {
    await enable(admin);
    expect([info().secondFactor, info().quorumKey]).to.deep.equal([true, true]);
    expect(await login((challenge) => key.signDigest(challenge))).to.equal('CKR_OK');
    const refused: [string, string][] = [
      ['no signature', await login(undefined)],
      ["another key's", await login((challenge) => other.signDigest(challenge))],
      ['hashed again', await login((challenge) => key.signFile(challenge))],
      ['of another value', await login(() => key.signDigest(Buffer.alloc(32, 1)))],
      ['too short', await login((challenge) => key.signDigest(challenge).subarray(1))],
    ];
    for (const [what, code] of refused) expect(code, what).to.equal('CKR_PIN_INCORRECT');
    expect(info().wrongPasswords, 'they count like wrong passwords').to.equal(5);
    expect(await login((challenge) => key.signDigest(challenge), 'a wrong password')).to.equal(
      'CKR_PIN_INCORRECT',
    );
    expect(await login((challenge) => key.signDigest(challenge))).to.equal('CKR_PIN_LOCKED');
  });

  it('signs a challenge that is good for one signature, on the connection that it was given to', async () => {
    await enable(admin);
    const [one, two] = [hsm.connect(), hsm.connect()];
    const challenge = await one.send('getChallenge', undefined);
    const request = { ...user, password: PASSWORD, signature: key.signDigest(challenge) };
    expect(await codeOf(() => two.send('login', request))).to.equal('CKR_PIN_INCORRECT');
    expect(await codeOf(() => one.send('login', request))).to.equal('CKR_OK');
    await one.send('logout', undefined);
    expect(await codeOf(() => one.send('login', request))).to.equal('CKR_PIN_INCORRECT');
  });

  it('is ignored where the user has none', async () => {
    expect(await login((challenge) => other.signDigest(challenge))).to.equal('CKR_OK');
  });

  it('goes with the password, and the right to approve with it, unless both are given anew', async () => {
    await enable(admin);
    const challenge = await admin.send('getChallenge', undefined);
    const secondFactor = { publicKey: other.publicKey, signature: other.signDigest(challenge) };
    await admin.send('changePassword', { ...user, password: PASSWORD, secondFactor });
    expect(await login((value) => other.signDigest(value)), 'rotated').to.equal('CKR_OK');
    expect(await login((value) => key.signDigest(value))).to.equal('CKR_PIN_INCORRECT');
    await admin.send('changePassword', { ...user, password: PASSWORD });
    expect([info().secondFactor, info().quorumKey]).to.deep.equal([false, false]);
    expect(await login(undefined)).to.equal('CKR_OK');
    await enable(admin);
    await admin.send('changeSecondFactor', user);
    expect([info().secondFactor, info().quorumKey]).to.deep.equal([false, false]);
  });

  it('is an RSA key of 2048 bits whose owner signs', async () => {
    const attempt = async (publicKey: Buffer, signature: (challenge: Buffer) => Buffer): Promise<string> => {
      const challenge = await admin.send('getChallenge', undefined);
      const secondFactor = { publicKey, signature: signature(challenge) };
      return codeOf(() => admin.send('changeSecondFactor', { ...user, secondFactor }));
    };
    const longer = new OfficerKey(3072);
    expect(await attempt(longer.publicKey, (value) => longer.signDigest(value))).to.equal(
      'CKR_ARGUMENTS_BAD',
    );
    expect(await attempt(Buffer.from('no key'), (value) => key.signDigest(value))).to.equal(
      'CKR_ARGUMENTS_BAD',
    );
    expect(await attempt(key.publicKey, (value) => other.signDigest(value))).to.equal(
      'CKR_SIGNATURE_INVALID',
    );
    expect(info().secondFactor).to.equal(false);
  });

  it('is changed by its user and by COs, and by nobody else', async () => {
    const stranger = await loggedIn(hsm, 'other_user', 'CU');
    expect(await codeOf(() => enable(stranger))).to.equal('CKR_ACTION_PROHIBITED');
    const self = await loggedIn(hsm, 'crypto_user', 'CU');
    expect(await codeOf(() => enable(self))).to.equal('CKR_OK');
  });
});
