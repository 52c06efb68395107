/* Run by durability.test.ts as a process of its own: creates token keys and prints each label when its key is there. */
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';

const p11 = new pkcs11js.PKCS11();
p11.load(process.env['PKCS11_MODULE_PATH']!);
p11.C_Initialize();
try {
  const session = p11.C_OpenSession(p11.C_GetSlotList(true)[0]!, 6);
  p11.C_Login(session, pkcs11js.CKU_USER, process.env['CLOUDHSM_PIN']!);
  for (let count = 0; ; count++) {
    const label = `${process.argv[2]}-${count}`;
    p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [
      { type: CKA.CKA_TOKEN, value: true },
      { type: CKA.CKA_LABEL, value: label },
      { type: CKA.CKA_VALUE_LEN, value: 32 },
      { type: CKA.CKA_ENCRYPT, value: true },
    ]);
    process.stdout.write(`${label}\n`);
  }
} catch {
  // The engine was killed: that is how every round ends.
}
