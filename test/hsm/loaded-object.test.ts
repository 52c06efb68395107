import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { LoadedObject } from '../../src/hsm/loaded-object.js';
import { newSecretKey } from '../../src/objects/build.js';
import type { HsmObject } from '../../src/objects/hsm-object.js';
import { validateTemplate } from '../../src/objects/template-validator.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { template } from '../support/program.js';

const refuses = (): never => {
  throw new Error('a deviation');
};
const shared = validateTemplate(
  'generate',
  'aes',
  template({ CKA_VALUE_LEN: 32, CKA_ID: 'id', CKA_EXTRACTABLE: false }),
  refuses,
);

/** A key that has just been made, and how often it was finished. */
function made(bytes: Buffer) {
  const { attributes, material, complete } = newSecretKey('aes', shared, bytes);
  const visible = { handle: 64, version: 1, owner: 'crypto_user', sharedWith: [], attributes };
  let times = 0;
  const finish = (): HsmObject => {
    times++;
    return { ...visible, attributes: complete!(), material };
  };
  const key = LoadedObject.unfinished(64, 'aes', { visible, material, finish });
  return { key, times: () => times };
}

describe('a new key', () => {
  it('is finished once, when somebody looks at all of it', () => {
    const bytes = Buffer.alloc(32, 0x5a);
    const { key, times } = made(bytes);
    expect(key.visible.owner).to.equal('crypto_user');
    expect(key.idClaim).to.equal('4 id');
    expect(times()).to.equal(0);

    // "first 3 bytes of an encrypted zero block" (reference section 11.5)
    const cipher = createCipheriv('aes-256-ecb', Buffer.alloc(32, 0x5a), null);
    const checkValue = cipher.update(Buffer.alloc(16)).subarray(0, 3);
    const { attributes } = key.object;
    expect(attributes.get(CKA.CKA_CHECK_VALUE)).to.deep.equal(checkValue);
    expect(attributes.get(CKA.CKA_NEVER_EXTRACTABLE)?.[0]).to.equal(1);
    expect(attributes.get(CKA.CKA_ALWAYS_SENSITIVE)?.[0]).to.equal(1);
    expect(key.object).to.equal(key.visible);
    expect(times()).to.equal(1);
  });

  it('leaves the attributes of its template to others as they are', () => {
    const before = [...shared];
    made(Buffer.alloc(32, 1)).key.object.attributes.delete(CKA.CKA_LABEL);
    expect([...shared]).to.deep.equal(before);
    expect(shared.has(CKA.CKA_CHECK_VALUE)).to.equal(false);
  });

  it('is cleansed when it is destroyed, also if nobody has looked at it', () => {
    const bytes = Buffer.alloc(32, 0x5a);
    const { key, times } = made(bytes);
    key.destroy();
    expect(bytes).to.deep.equal(Buffer.alloc(32));
    expect(times()).to.equal(0);
    const looked = Buffer.alloc(32, 0x5a);
    const other = made(looked).key;
    void other.object;
    other.destroy();
    expect(looked).to.deep.equal(Buffer.alloc(32));
  });
});
