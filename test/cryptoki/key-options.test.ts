import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import type { ClientConfig } from '../../src/base/client-config.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { TestEngine } from '../support/engine.js';
import { generateAes, generateEc } from '../support/keys.js';
import { expectCkr, TestModule } from '../support/module.js';

type Options = NonNullable<NonNullable<ClientConfig['clusters']>[number]['cluster']['options']>;

const TOKEN = [{ type: pkcs11js.CKA_TOKEN, value: true }];
const ECDSA = { mechanism: pkcs11js.CKM_ECDSA };
const AES_ECB = { mechanism: pkcs11js.CKM_AES_ECB };
const HASH = Buffer.alloc(32, 7);

/** An application with these options for its one cluster. */
function withOptions<T>(
  engine: TestEngine,
  options: Options | undefined,
  run: (module: TestModule, session: Buffer) => T,
): T {
  const module = new TestModule(engine, options && { clusters: [{ cluster: { options } }] });
  try {
    return run(module, module.openLoggedIn());
  } finally {
    module.close();
  }
}

describe('a cluster of one HSM', () => {
  let engine: TestEngine;
  afterEach(() => engine.stop());
  const start = async (...options: string[]): Promise<void> => {
    engine = await TestEngine.start(['--hsms', '1', ...options]);
  };
  const makes = (module: TestModule, session: Buffer): void => {
    generateAes(module, session, 32, TOKEN);
  };
  const refuses = (module: TestModule, session: Buffer): void => {
    expectCkr(CKR.CKR_FUNCTION_FAILED, () => makes(module, session));
  };

  it('makes no token keys in the profile strict, and says why in the log; session keys work', async () => {
    await start('--profile', 'strict');
    withOptions(engine, undefined, (module, session) => {
      refuses(module, session);
      module.p11.C_SignInit(session, ECDSA, generateEc(module, session).privateKey);
      expect(module.p11.C_Sign(session, HASH, Buffer.alloc(64))).to.have.length(64);
    });
    const log = readFileSync(join(engine.home, 'run', 'cloudhsm-pkcs11.log'), 'utf8');
    expect(log)
      .to.match(
        /\[cloudhsm_pkcs11::key::C_GenerateKey\] Key \d+ does not meet the availability requirements - The key/,
      )
      .and.include('C_GenerateKey failed, returning 0x00000006');
  });

  it("makes and uses token keys where the application's switch is off, which are of no use with it on", async () => {
    await start('--profile', 'strict');
    withOptions(engine, { disable_key_availability_check: true }, (module, session) => {
      generateAes(module, session, 32, TOKEN);
      generateEc(module, session, 'P-256', TOKEN);
    });
    withOptions(engine, undefined, ({ p11 }, session) => {
      const all = (keyClass: number): Buffer => {
        p11.C_FindObjectsInit(session, [{ type: pkcs11js.CKA_CLASS, value: keyClass }]);
        const [key] = p11.C_FindObjects(session, 1);
        p11.C_FindObjectsFinal(session);
        return key!;
      };
      const [secret, publicKey, privateKey] = [
        all(pkcs11js.CKO_SECRET_KEY),
        all(pkcs11js.CKO_PUBLIC_KEY),
        all(pkcs11js.CKO_PRIVATE_KEY),
      ];
      for (const init of [
        () => p11.C_EncryptInit(session, AES_ECB, secret),
        () => p11.C_DecryptInit(session, AES_ECB, secret),
        () => p11.C_SignInit(session, ECDSA, privateKey),
        () => p11.C_VerifyInit(session, ECDSA, publicKey),
      ]) {
        expectCkr(CKR.CKR_FUNCTION_FAILED, init);
      }
    });
  });

  it('makes token keys in the profile compatible, unless somebody has stated the check', async () => {
    await start();
    withOptions(engine, undefined, makes);
    withOptions(engine, { disable_key_availability_check: false }, refuses);
  });

  it("follows the engine's setting, and the application's above it", async () => {
    const file = join(tmpdir(), `availability-${process.pid}.json`);
    writeFileSync(file, JSON.stringify({ keyAvailabilityCheck: true }));
    await start('--config', file);
    withOptions(engine, undefined, refuses);
    withOptions(engine, { disable_key_availability_check: true }, makes);
  });
});

describe('without validate-key-at-init', () => {
  let engine: TestEngine;
  before(async () => {
    engine = await TestEngine.start();
  });
  after(() => engine.stop());

  const STRANGER = Buffer.from('ffffff0000000000', 'hex');
  const off: Options = { disable_validate_key_at_init: true };

  it('has Init ask the HSM unless it is off', () => {
    withOptions(engine, { disable_validate_key_at_init: false }, ({ p11 }, session) => {
      for (const init of [
        () => p11.C_SignInit(session, ECDSA, STRANGER),
        () => p11.C_VerifyInit(session, ECDSA, STRANGER),
        () => p11.C_EncryptInit(session, AES_ECB, STRANGER),
        () => p11.C_DecryptInit(session, AES_ECB, STRANGER),
      ]) {
        expectCkr(CKR.CKR_KEY_HANDLE_INVALID, init);
      }
    });
  });

  it('reports a bad key at its first use, whole or in parts, and the operation is over', () => {
    withOptions(engine, off, ({ p11 }, session) => {
      const out = Buffer.alloc(128);
      for (const [init, use] of [
        [() => p11.C_SignInit(session, ECDSA, STRANGER), () => p11.C_Sign(session, HASH, out)],
        [() => p11.C_SignInit(session, ECDSA, STRANGER), () => p11.C_SignUpdate(session, HASH)],
        [
          () => p11.C_VerifyInit(session, ECDSA, STRANGER),
          () => p11.C_Verify(session, HASH, Buffer.alloc(64)),
        ],
        [() => p11.C_VerifyInit(session, ECDSA, STRANGER), () => p11.C_VerifyUpdate(session, HASH)],
        [() => p11.C_EncryptInit(session, AES_ECB, STRANGER), () => p11.C_Encrypt(session, HASH, out)],
        [() => p11.C_EncryptInit(session, AES_ECB, STRANGER), () => p11.C_EncryptUpdate(session, HASH, out)],
        [() => p11.C_DecryptInit(session, AES_ECB, STRANGER), () => p11.C_Decrypt(session, HASH, out)],
        [() => p11.C_DecryptInit(session, AES_ECB, STRANGER), () => p11.C_DecryptFinal(session, out)],
      ] as const) {
        init();
        expectCkr(CKR.CKR_KEY_HANDLE_INVALID, use);
        expectCkr(CKR.CKR_OPERATION_NOT_INITIALIZED, use);
      }
    });
  });

  it('reports at its first use what a key may not do', () => {
    withOptions(engine, off, (module, session) => {
      const secret = generateAes(module, session);
      const { publicKey } = generateEc(module, session);
      module.p11.C_SignInit(session, ECDSA, publicKey);
      expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, () => module.p11.C_Sign(session, HASH, Buffer.alloc(64)));
      module.p11.C_SignInit(session, ECDSA, secret);
      expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, () => module.p11.C_Sign(session, HASH, Buffer.alloc(64)));
    });
  });

  it('still has Init refuse what needs no HSM: an unknown mechanism, a second operation', () => {
    withOptions(engine, off, ({ p11 }, session) => {
      expectCkr(CKR.CKR_MECHANISM_INVALID, () => p11.C_SignInit(session, { mechanism: 0x7777 }, STRANGER));
      p11.C_SignInit(session, ECDSA, STRANGER);
      expectCkr(CKR.CKR_OPERATION_ACTIVE, () => p11.C_SignInit(session, ECDSA, STRANGER));
    });
  });

  it('works as ever with good keys, whole, in parts, and with an IV of the HSM', () => {
    withOptions(engine, off, (module, session) => {
      const { p11 } = module;
      const pair = generateEc(module, session);
      p11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA_SHA256 }, pair.privateKey);
      p11.C_SignUpdate(session, Buffer.from('pay 100 '));
      p11.C_SignUpdate(session, Buffer.from('to Alice'));
      const signature = p11.C_SignFinal(session, Buffer.alloc(64));
      p11.C_VerifyInit(session, { mechanism: pkcs11js.CKM_ECDSA_SHA256 }, pair.publicKey);
      expect(p11.C_Verify(session, Buffer.from('pay 100 to Alice'), signature)).to.equal(true);

      const key = generateAes(module, session);
      const iv = Buffer.alloc(12);
      const gcm = {
        mechanism: pkcs11js.CKM_AES_GCM,
        parameter: {
          type: pkcs11js.CK_PARAMS_AES_GCM,
          iv,
          ivBits: 96,
          aad: Buffer.from('aad'),
          tagBits: 128,
        },
      };
      p11.C_EncryptInit(session, gcm, key);
      const encrypted = p11.C_Encrypt(session, HASH, Buffer.alloc(48));
      p11.C_DecryptInit(session, gcm, key);
      expect(p11.C_Decrypt(session, encrypted, Buffer.alloc(48))).to.deep.equal(HASH);
    });
  });
});

describe('certificate storage of an application', () => {
  it('is what its configuration says', async () => {
    const engine = await TestEngine.start();
    const certificate = [
      { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_CERTIFICATE },
      { type: pkcs11js.CKA_CERTIFICATE_TYPE, value: pkcs11js.CKC_X_509 },
      { type: pkcs11js.CKA_TOKEN, value: true },
      { type: pkcs11js.CKA_SUBJECT, value: Buffer.from('subject') },
      { type: pkcs11js.CKA_VALUE, value: Buffer.from('certificate') },
    ];
    withOptions(engine, { enable_certificate_storage: true }, ({ p11 }, session) =>
      p11.C_CreateObject(session, certificate),
    );
    withOptions(engine, { enable_certificate_storage: false }, ({ p11 }, session) => {
      expectCkr(CKR.CKR_TEMPLATE_INCONSISTENT, () => p11.C_CreateObject(session, certificate));
      p11.C_FindObjectsInit(session, []);
      expect(p11.C_FindObjects(session, 1)).to.deep.equal([]);
    });
    await engine.stop();
  });
});
