import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster } from '../support/in-process.js';

const mechanism = { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, parameter: undefined };

describe('keys of the host', () => {
  let hsm: Hsm;
  let owner: HsmConnection;
  let other: HsmConnection;

  before(async () => {
    [hsm] = (await memoryCluster({ hsms: 1 })).hsms as [Hsm];
    owner = await loggedIn(hsm, 'crypto_user', 'CU');
    other = await loggedIn(hsm, 'other_user', 'CU');
  });

  async function newKey(...more: Template): Promise<number> {
    const { handle, masked } = await owner.send('generateKey', {
      mechanism: CKM.CKM_AES_KEY_GEN,
      template: [
        attribute(CKA.CKA_VALUE_LEN, 32),
        attribute(CKA.CKA_TOKEN, true),
        attribute(CKA.CKA_WRAP, true),
        attribute(CKA.CKA_UNWRAP, true),
        ...more,
      ],
    });
    await owner.send('insertMaskedObject', { masked: masked! });
    return handle;
  }

  it('are wrapped with a key of the HSM, and unwrapped again', async () => {
    const handle = await newKey();
    for (const lengthBytes of [8, 16, 32, 1219]) {
      const input = randomBytes(lengthBytes);
      const wrapped = await owner.send('wrapHostKey', { handle, mechanism, input });
      const plain = await owner.send('unwrapHostKey', { handle, mechanism, input: wrapped });
      expect(plain).to.deep.equal(input);
    }
  });

  it('are wrapped by those only who may use the key, for what the key may do, and by AES alone', async () => {
    const input = randomBytes(32);
    const handle = await newKey();
    expect(await codeOf(() => other.send('wrapHostKey', { handle, mechanism, input }))).to.match(
      /KEY_HANDLE_INVALID$/,
    );
    const idle = await newKey();
    for (const type of [CKA.CKA_WRAP, CKA.CKA_UNWRAP])
      await owner.send('setKeyAttribute', { handle: idle, attribute: attribute(type, false) });
    for (const command of ['wrapHostKey', 'unwrapHostKey'] as const)
      expect(await codeOf(() => owner.send(command, { handle: idle, mechanism, input }))).to.equal(
        'CKR_KEY_FUNCTION_NOT_PERMITTED',
      );
    const rsa = { type: CKM.CKM_RSA_PKCS_OAEP, parameter: undefined };
    expect(await codeOf(() => owner.send('unwrapHostKey', { handle, mechanism: rsa, input }))).to.equal(
      'CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT',
    );
  });

  it('do not come out with a key that an admin trusts, or that says what becomes of what it unwraps', async () => {
    const input = randomBytes(32);
    const admin = await loggedIn(hsm, 'admin', 'CO');
    const trusted = await newKey();
    await admin.send('setKeyAttribute', { handle: trusted, attribute: attribute(CKA.CKA_TRUSTED, true) });
    const strict = await newKey({
      type: CKA.CKA_UNWRAP_TEMPLATE,
      value: Buffer.alloc(0),
      nested: [attribute(CKA.CKA_EXTRACTABLE, false)],
    });
    for (const handle of [trusted, strict]) {
      const wrapped = await owner.send('wrapHostKey', { handle, mechanism, input });
      expect(await codeOf(() => owner.send('unwrapHostKey', { handle, mechanism, input: wrapped }))).to.equal(
        'CKR_KEY_FUNCTION_NOT_PERMITTED',
      );
    }
  });

  it('that were changed on their way, or are none, are refused', async () => {
    const handle = await newKey();
    const wrapped = await owner.send('wrapHostKey', { handle, mechanism, input: randomBytes(32) });
    wrapped[3]! ^= 1;
    expect(await codeOf(() => owner.send('unwrapHostKey', { handle, mechanism, input: wrapped }))).to.equal(
      'CKR_WRAPPED_KEY_INVALID',
    );
    for (const lengthBytes of [0, 7, 33])
      expect(
        await codeOf(() =>
          owner.send('unwrapHostKey', { handle, mechanism, input: Buffer.alloc(lengthBytes) }),
        ),
      ).to.equal('CKR_WRAPPED_KEY_LEN_RANGE');
    expect(
      await codeOf(() => owner.send('wrapHostKey', { handle, mechanism, input: Buffer.alloc(16_385) })),
    ).to.equal('CKR_DATA_LEN_RANGE');
  });

  it('are logged as what they are, and masked objects are copied by their owners only, under new handles', async () => {
    const handle = await newKey();
    const masked = await owner.send('extractMaskedObject', { handle });
    const copy = await owner.send('copyMaskedObject', { masked });
    expect(copy.handle).to.not.equal(handle);
    await owner.send('insertMaskedObject', { masked: copy.masked! });
    const [value] = await owner.send('getAttributes', { handle: copy.handle, types: [CKA.CKA_CHECK_VALUE] });
    expect(await owner.send('getAttributes', { handle, types: [CKA.CKA_CHECK_VALUE] })).to.deep.equal([
      value,
    ]);
    expect(await codeOf(() => other.send('copyMaskedObject', { masked }))).to.equal('CKR_ACTION_PROHIBITED');
  });
});
