import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { TestEngine } from '../support/engine.js';
import { attribute, generateAes } from '../support/keys.js';
import { expectCkr, TestModule, useModule } from '../support/module.js';

const TRUE = Buffer.from([1]);
const FALSE = Buffer.from([0]);
const aes = { mechanism: pkcs11js.CKM_AES_ECB };

describe('changing and copying objects', () => {
  describe('in the compatible profile', () => {
    let module: TestModule;
    let session: Buffer;

    useModule((opened) => {
      ({ module, session } = opened);
    });

    const set = (key: Buffer, type: number, value: boolean | string): void =>
      module.p11.C_SetAttributeValue(session, key, [{ type, value }]);
    const labelled = (label: string): Buffer[] => {
      module.p11.C_FindObjectsInit(session, [{ type: CKA.CKA_LABEL, value: label }]);
      const found = module.p11.C_FindObjects(session, 10);
      module.p11.C_FindObjectsFinal(session);
      return found;
    };

    for (const token of [false, true]) {
      it(`a ${token ? 'token' : 'session'} key gets another label, by which it is found`, () => {
        const key = generateAes(module, session, 32, [
          { type: CKA.CKA_LABEL, value: `old-${token}` },
          { type: CKA.CKA_TOKEN, value: token },
        ]);
        set(key, CKA.CKA_LABEL, `new-${token}`);
        expect(labelled(`old-${token}`)).to.deep.equal([]);
        expect(labelled(`new-${token}`)).to.deep.equal([key]);
        module.p11.C_EncryptInit(session, aes, key);
        expect(module.p11.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16))).to.have.length(16);
      });
    }

    it('a key that may no longer encrypt does not', () => {
      const key = generateAes(module, session);
      set(key, CKA.CKA_ENCRYPT, false);
      expectCkr(CKR.CKR_KEY_FUNCTION_NOT_PERMITTED, () => module.p11.C_EncryptInit(session, aes, key));
    });

    it('protection only grows: extractable and modifiable fall, sensitive rises, and never back', () => {
      const key = generateAes(module, session, 32, [{ type: CKA.CKA_SENSITIVE, value: false }]);
      set(key, CKA.CKA_EXTRACTABLE, false);
      expectCkr(CKR.CKR_ATTRIBUTE_READ_ONLY, () => set(key, CKA.CKA_EXTRACTABLE, true));
      set(key, CKA.CKA_SENSITIVE, true);
      expectCkr(CKR.CKR_ATTRIBUTE_READ_ONLY, () => set(key, CKA.CKA_SENSITIVE, false));
      set(key, CKA.CKA_MODIFIABLE, false);
      expectCkr(CKR.CKR_ACTION_PROHIBITED, () => set(key, CKA.CKA_LABEL, 'too late'));
    });

    it('what an object is never changes, and a refused change changes nothing', () => {
      const key = generateAes(module, session, 32, [{ type: CKA.CKA_LABEL, value: 'same' }]);
      for (const type of [CKA.CKA_CLASS, CKA.CKA_KEY_TYPE, CKA.CKA_VALUE_LEN]) {
        const change = () =>
          module.p11.C_SetAttributeValue(session, key, [
            { type: CKA.CKA_LABEL, value: 'other' },
            { type, value: 99 },
          ]);
        expectCkr(CKR.CKR_ATTRIBUTE_READ_ONLY, change);
      }
      expectCkr(CKR.CKR_ATTRIBUTE_READ_ONLY, () => set(key, CKA.CKA_TOKEN, true));
      expectCkr(CKR.CKR_ATTRIBUTE_READ_ONLY, () => set(key, CKA.CKA_LOCAL, false));
      expect(attribute(module, session, key, CKA.CKA_LABEL).toString()).to.equal('same');
    });

    it('a session key is copied to the token, under the same secret and its own handle', () => {
      const key = generateAes(module, session, 32, [{ type: CKA.CKA_LABEL, value: 'original' }]);
      const copy = module.p11.C_CopyObject(session, key, [
        { type: CKA.CKA_TOKEN, value: true },
        { type: CKA.CKA_LABEL, value: 'copy' },
      ]);
      const encrypt = (with_: Buffer): Buffer => {
        module.p11.C_EncryptInit(session, aes, with_);
        return module.p11.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16));
      };
      expect(encrypt(copy)).to.deep.equal(encrypt(key));
      module.p11.C_DestroyObject(session, key);
      expect(attribute(module, session, copy, CKA.CKA_TOKEN)).to.deep.equal(TRUE);
      expect(attribute(module, session, copy, CKA.CKA_NEVER_EXTRACTABLE)).to.deep.equal(FALSE);
      expect(labelled('copy')).to.deep.equal([copy]);
      expectCkr(CKR.CKR_OBJECT_HANDLE_INVALID, () => module.p11.C_CopyObject(session, key, []));
    });

    it('a copy protects no less than its original', () => {
      const key = generateAes(module, session, 32, [{ type: CKA.CKA_EXTRACTABLE, value: false }]);
      const copy = () => module.p11.C_CopyObject(session, key, [{ type: CKA.CKA_EXTRACTABLE, value: true }]);
      expectCkr(CKR.CKR_ATTRIBUTE_READ_ONLY, copy);
    });
  });

  it('in the strict profile is refused for keys, as on CloudHSM', async () => {
    const engine = await TestEngine.start(['--profile', 'strict']);
    const module = new TestModule(engine);
    const session = module.openLoggedIn();
    const key = generateAes(module, session);
    const label = [{ type: CKA.CKA_LABEL, value: 'x' }];
    expectCkr(CKR.CKR_FUNCTION_NOT_SUPPORTED, () => module.p11.C_SetAttributeValue(session, key, label));
    // A function that is not there looks at nothing (reference section 3).
    for (const object of [key, Buffer.alloc(8, 0xff)])
      expectCkr(CKR.CKR_FUNCTION_NOT_SUPPORTED, () => module.p11.C_CopyObject(session, object, label));
    module.close();
    await engine.stop();
  });
});
