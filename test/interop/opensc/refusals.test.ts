import { expect } from 'chai';
import { cloudhsmLocal } from '../../support/engine.js';
import { expectRefused, Pkcs11Tool } from './tool.js';

describe('pkcs11-tool', function () {
  this.timeout(180_000);

  let tool: Pkcs11Tool;

  before(async function () {
    tool = await Pkcs11Tool.start(this);
  });

  after(() => tool?.stop());

  describe('what CloudHSM does elsewhere or not at all', () => {
    it('makes no RSA key pair of another size', async () => {
      // "2048-4096 in steps of 256" (reference, section 8).
      for (const bits of [1024, 2049, 8192]) {
        const making = tool.runAsUser('--keypairgen', '--key-type', `rsa:${bits}`, '--label', 'refused');
        await expectRefused(making, 'CKR_ATTRIBUTE_VALUE_INVALID');
      }
      expect(await tool.objectsNamed('refused')).to.deep.equal([]);
    });

    const refused = [
      { name: 'initialise the token', words: ['--init-token', '--so-pin', 'admin:password', '--label', 'x'] },
      { name: 'change a password', words: ['--change-pin', '--new-pin', 'crypto_user:password'] },
    ];
    for (const { name, words } of refused) {
      it(`does not ${name}`, async () => {
        await expectRefused(tool.runAsUser(...words), 'CKR_FUNCTION_NOT_SUPPORTED');
      });
    }
  });

  // The last ones: at their end nobody logs in any more.
  describe('a login that fails', () => {
    const failures = [
      {
        name: 'a wrong password',
        words: () => ['--pin', 'crypto_user:wrong-password'],
        ckr: 'CKR_PIN_INCORRECT',
      },
      {
        name: 'a user who does not exist',
        words: () => ['--pin', 'nobody:password'],
        ckr: 'CKR_PIN_INCORRECT',
      },
      { name: 'a password without a user', words: () => ['--pin', 'password'], ckr: 'CKR_PIN_INCORRECT' },
      {
        name: 'the admin, who is no crypto user',
        words: () => ['--pin', `admin:${tool.engine.credentials.admin.password}`],
        ckr: 'CKR_PIN_INCORRECT',
      },
      {
        name: 'a security officer, whom CloudHSM does not know',
        words: () => ['--login-type', 'so', '--so-pin', 'admin:password'],
        ckr: 'CKR_USER_TYPE_INVALID',
      },
    ];
    for (const { name, words, ckr } of failures) {
      it(`is refused with ${ckr}: ${name}`, async () => {
        await expectRefused(tool.run('--login', ...words(), '-O'), ckr);
      });
    }

    it('locks the user out after more than five wrong passwords, also after a restart', async () => {
      // Reference, section 5, "Lockout".
      await tool.hsm('-O');
      for (let attempt = 0; attempt < 6; attempt++) {
        await expectRefused(tool.runAs('crypto_user:wrong-password', '-O'), 'CKR_PIN_INCORRECT');
      }
      await expectRefused(tool.runAsUser('-O'), 'CKR_PIN_LOCKED');
      expect((await cloudhsmLocal(['down', '--home', tool.engine.home])).code).to.equal(0);
      await tool.engine.restart();
      await expectRefused(tool.runAsUser('-O'), 'CKR_PIN_LOCKED');
    });
  });
});
