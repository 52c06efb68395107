/* Run by split.test.ts as a process of its own: signs, encrypts and makes token keys until its stdin ends. It prints a JSON line
 * for each key whose creation returned, for whatever went wrong, and at its end. */
import { createPublicKey, verify } from 'node:crypto';
import pkcs11js from 'pkcs11js';
import { generateAes, generateEc, publicKeyOf } from './keys.js';
import type { TestModule } from './module.js';

const p11 = new pkcs11js.PKCS11();
const say = (what: object): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);
let ending = false;
process.stdin.resume();
process.stdin.on('end', () => {
  ending = true;
});

p11.load(process.env['PKCS11_MODULE_PATH']!);
p11.C_Initialize();
const session = p11.C_OpenSession(p11.C_GetSlotList(true)[0]!, 6);
p11.C_Login(session, pkcs11js.CKU_USER, process.env['CLOUDHSM_PIN']!);
const module = { p11 } as TestModule;
const token = { type: pkcs11js.CKA_TOKEN, value: true };
const pair = generateEc(module, session, 'P-256', [token]);
const publicKey = createPublicKey(publicKeyOf(module, session, pair, 'P-256'));

const keys: { key: Buffer; expected: string }[] = [];
let calls = 0;
let counter = 0;

function encrypt(key: Buffer): string {
  p11.C_EncryptInit(session, { mechanism: pkcs11js.CKM_AES_ECB }, key);
  return p11.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16)).toString('hex');
}

/** In parts: what an HSM that is lost between them did is in the session. */
function encryptInParts(key: Buffer): string {
  p11.C_EncryptInit(session, { mechanism: pkcs11js.CKM_AES_ECB }, key);
  const first = p11.C_EncryptUpdate(session, Buffer.alloc(16), Buffer.alloc(16)).toString('hex');
  p11.C_EncryptFinal(session, Buffer.alloc(16));
  return first;
}

function round(): void {
  const label = `${process.argv[2]}-${counter++}`;
  const key = generateAes(module, session, 32, [token, { type: pkcs11js.CKA_LABEL, value: label }]);
  const known = { key, expected: encrypt(key) };
  keys.push(known);
  say({ label, handle: key.readUInt32LE(0), expected: known.expected });
  for (let times = 0; times < 5; times++) {
    const one = keys[Math.floor(Math.random() * keys.length)]!;
    const found = times % 2 === 0 ? encrypt(one.key) : encryptInParts(one.key);
    if (found !== one.expected) say({ wrong: `${found} instead of ${one.expected}` });
    p11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA_SHA256 }, pair.privateKey);
    const data = Buffer.from(label);
    const signature = p11.C_Sign(session, data, Buffer.alloc(64));
    if (!verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature))
      say({ wrong: 'a signature that is none' });
    calls += 4;
  }
}

function go(): void {
  try {
    round();
  } catch (error) {
    say({ failed: String(error) });
  }
  if (!ending) setImmediate(go);
  else {
    say({ calls });
    process.exit(0);
  }
}
go();
