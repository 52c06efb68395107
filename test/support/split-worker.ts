/* Run by split.test.ts as a process of its own: a program whose threads sign, encrypt, find, and make and destroy token keys, all at
 * once, until its stdin ends. It prints a JSON line for each key whose creation or end was acknowledged, for whatever went wrong,
 * and at its end. Arguments: a name, how many threads, a seed. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import pkcs11js from 'pkcs11js';
import { attribute, generateAes, generateEc, type Pair, publicKeyOf } from './keys.js';
import type { TestModule } from './module.js';
import { seeded } from './seeded.js';

const ROUNDS_PER_PAIR = 16;
const KEYS_KEPT = 50;

interface Key {
  readonly label: string;
  readonly handle: Buffer;
  readonly expected: string;
}

const p11 = new pkcs11js.PKCS11();
p11.load(process.env['PKCS11_MODULE_PATH']!);
const openSession = (): Buffer => p11.C_OpenSession(p11.C_GetSlotList(true)[0]!, 6);

/** One thread of the program: one session, and keys of its own. */
class Thread {
  readonly #session = openSession();
  readonly #module = { p11 } as TestModule;
  readonly #keys: Key[] = [];
  readonly #below: (bound: number) => number;
  #pair: { readonly pair: Pair; readonly publicKey: KeyObject } | undefined;
  #rounds = 0;
  calls = 0;

  constructor(
    private readonly name: string,
    seed: number,
    private readonly say: (what: object) => void,
  ) {
    this.#below = seeded(seed);
  }

  #wrong(what: string): void {
    this.say({ wrong: `${this.name}: ${what}` });
  }

  #encrypt({ handle }: Pick<Key, 'handle'>): string {
    p11.C_EncryptInit(this.#session, { mechanism: pkcs11js.CKM_AES_ECB }, handle);
    return p11.C_Encrypt(this.#session, Buffer.alloc(16), Buffer.alloc(16)).toString('hex');
  }

  /** In parts: what an HSM that is lost between them did is in the session. */
  #encryptInParts({ handle }: Key): string {
    p11.C_EncryptInit(this.#session, { mechanism: pkcs11js.CKM_AES_ECB }, handle);
    const first = p11.C_EncryptUpdate(this.#session, Buffer.alloc(16), Buffer.alloc(16)).toString('hex');
    p11.C_EncryptFinal(this.#session, Buffer.alloc(16));
    return first;
  }

  #thereAndBack({ label, handle }: Key): void {
    const data = Buffer.from(`${label} ${this.#below(1_000_000)}`);
    const mechanism = { mechanism: pkcs11js.CKM_AES_CBC_PAD, parameter: Buffer.alloc(16, this.#below(256)) };
    p11.C_EncryptInit(this.#session, mechanism, handle);
    const sealed = p11.C_Encrypt(this.#session, data, Buffer.alloc(64));
    p11.C_DecryptInit(this.#session, mechanism, handle);
    const opened = p11.C_Decrypt(this.#session, sealed, Buffer.alloc(64));
    if (!opened.equals(data)) this.#wrong(`${opened.toString('hex')} decrypted for ${data.toString('hex')}`);
    this.calls += 4;
  }

  #sign(data: Buffer): void {
    const { pair, publicKey } = this.#pair!;
    const mechanism = { mechanism: pkcs11js.CKM_ECDSA_SHA256 };
    p11.C_SignInit(this.#session, mechanism, pair.privateKey);
    const signature = p11.C_Sign(this.#session, data, Buffer.alloc(64));
    if (!verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature))
      this.#wrong('a signature that is none');
    p11.C_VerifyInit(this.#session, mechanism, pair.publicKey);
    if (!p11.C_Verify(this.#session, data, signature)) this.#wrong('a signature was not verified');
    this.calls += 4;
  }

  #makeKey(): void {
    const label = `${this.name}-${this.#rounds}`;
    const token = [
      { type: pkcs11js.CKA_TOKEN, value: true },
      { type: pkcs11js.CKA_LABEL, value: label },
    ];
    const handle = generateAes(this.#module, this.#session, 32, token);
    const key = { label, handle, expected: this.#encrypt({ handle }) };
    this.#keys.push(key);
    this.say({ label, handle: handle.readUInt32LE(0), expected: key.expected });
    this.calls += 3;
  }

  #makePair(): void {
    const pair = generateEc(this.#module, this.#session, 'P-256', [
      { type: pkcs11js.CKA_TOKEN, value: true },
      { type: pkcs11js.CKA_LABEL, value: `${this.name}-pair` },
    ]);
    const publicKey = createPublicKey(publicKeyOf(this.#module, this.#session, pair, 'P-256'));
    this.#pair = { pair, publicKey };
    this.calls += 3;
  }

  /** What was acknowledged is found at once, whichever HSM is asked. */
  #find({ label, handle }: Key): void {
    p11.C_FindObjectsInit(this.#session, [{ type: pkcs11js.CKA_LABEL, value: label }]);
    const found = p11.C_FindObjects(this.#session, 2);
    p11.C_FindObjectsFinal(this.#session);
    if (found.length !== 1 || !found[0]!.equals(handle)) this.#wrong(`${found.length} keys ${label} found`);
    const named = attribute(this.#module, this.#session, handle, pkcs11js.CKA_LABEL).toString();
    if (named !== label) this.#wrong(`${label} is called ${named}`);
    this.calls += 4;
  }

  #destroyOne(): void {
    const [{ label, handle }] = this.#keys.splice(this.#below(this.#keys.length), 1) as [Key];
    // From here on it may be gone, whatever is answered.
    this.say({ ending: handle.readUInt32LE(0) });
    p11.C_DestroyObject(this.#session, handle);
    this.say({ ended: handle.readUInt32LE(0), label });
    this.calls++;
  }

  round(): void {
    if (this.#rounds++ % ROUNDS_PER_PAIR === 0) this.#makePair();
    this.#makeKey();
    for (let times = 0; times < 4; times++) {
      const key = this.#keys[this.#below(this.#keys.length)]!;
      const found = times % 2 === 0 ? this.#encrypt(key) : this.#encryptInParts(key);
      if (found !== key.expected) this.#wrong(`${found} instead of ${key.expected}`);
      this.#thereAndBack(key);
      this.#sign(Buffer.from(key.label));
      if (times === 0) this.#find(key);
      this.calls += 2;
    }
    if (this.#keys.length > 1 && this.#below(4) === 0) this.#destroyOne();
    if (this.#keys.length > KEYS_KEPT) this.#keys.shift();
  }
}

interface ThreadData {
  readonly name: string;
  readonly seed: number;
  /** Not 0: the thread is to end. */
  readonly ending: Int32Array;
}

function runThread({ name, seed, ending }: ThreadData): void {
  const say = (what: object): void => parentPort!.postMessage(what);
  const thread = new Thread(name, seed, say);
  while (Atomics.load(ending, 0) === 0) {
    try {
      thread.round();
    } catch (error) {
      say({ failed: `${name}: ${String(error)}` });
    }
  }
  say({ calls: thread.calls });
}

function runProgram(): void {
  const [name, threads, seed] = process.argv.slice(2) as [string, string, string];
  p11.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
  p11.C_Login(openSession(), pkcs11js.CKU_USER, process.env['CLOUDHSM_PIN']!);
  const ending = new Int32Array(new SharedArrayBuffer(4));
  process.stdin.resume();
  process.stdin.on('end', () => Atomics.store(ending, 0, 1));
  let running = Number(threads);
  for (let at = 0; at < Number(threads); at++) {
    const data: ThreadData = { name: `${name}-${at}`, seed: Number(seed) + at, ending };
    const thread = new Worker(new URL(import.meta.url), { workerData: data });
    thread.on('message', (what: object) => {
      process.stdout.write(`${JSON.stringify(what)}\n`);
      // Not by the thread: the module is the whole process's.
      if ('calls' in what && --running === 0) process.exitCode = 0;
    });
    thread.on('error', (error) => process.stdout.write(`${JSON.stringify({ failed: String(error) })}\n`));
  }
}

if (isMainThread) runProgram();
else runThread(workerData as ThreadData);
