import { join } from 'node:path';
import pkcs11js from 'pkcs11js';
import { type ClientConfig, writeClientConfig } from '../../src/base/client-config.js';
import type { ConfigInput } from '../../src/base/config.js';
import { CKS } from '../../src/pkcs11/constants.js';
import { modulePath, TestEngine } from './engine.js';

/** The built module, loaded into this process. Every test file initialises and finalises it for itself. */
export class TestModule {
  readonly p11 = new pkcs11js.PKCS11();

  /** `config` becomes the cloudhsm-pkcs11.cfg of this application. */
  constructor(
    private readonly engine: TestEngine,
    config?: ClientConfig,
  ) {
    engine.useInThisProcess();
    this.p11.load(modulePath);
    const file = join(engine.home, 'run', 'test.cfg');
    if (config !== undefined) {
      writeClientConfig({ file, config });
      process.env['CLOUDHSM_PKCS11_CONFIG'] = file;
    }
    try {
      this.p11.C_Initialize();
    } finally {
      delete process.env['CLOUDHSM_PKCS11_CONFIG'];
    }
  }

  get slot(): Buffer {
    return this.p11.C_GetSlotList(true)[0]!;
  }

  /** A new session, read-write unless said otherwise. */
  openSession(flags = pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION): Buffer {
    return this.p11.C_OpenSession(this.slot, flags);
  }

  /** A new session, logged in as the crypto user. */
  openLoggedIn(): Buffer {
    const session = this.openSession();
    if (!this.isLoggedIn(session)) this.login(session);
    return session;
  }

  login(session: Buffer): void {
    this.p11.C_Login(session, pkcs11js.CKU_USER, this.engine.pin);
  }

  isLoggedIn(session: Buffer): boolean {
    return this.p11.C_GetSessionInfo(session).state === CKS.CKS_RW_USER_FUNCTIONS;
  }

  close(): void {
    this.p11.C_Finalize();
    this.p11.close();
  }
}

/** Gives the tests of a suite an engine of their own, the module on it, and a session that is logged in. */
export function useModule(
  assign: (opened: { engine: TestEngine; module: TestModule; session: Buffer }) => void,
  settings: ConfigInput = {},
): void {
  let engine: TestEngine | undefined;
  let module: TestModule | undefined;
  before(async () => {
    engine = await TestEngine.startWith(settings);
    module = new TestModule(engine);
    assign({ engine, module, session: module.openLoggedIn() });
  });
  after(async () => {
    module?.close();
    await engine?.stop();
  });
}

/** The CKR code in what pkcs11js threw: most functions throw a Pkcs11Error, some only a text that ends with it. */
function codeOfError(error: unknown): number | undefined {
  if (error instanceof pkcs11js.Pkcs11Error) return error.code;
  const text = error instanceof Error ? /^CKR_\w+:(\d+)/.exec(error.message)?.[1] : undefined;
  return text === undefined ? undefined : Number(text);
}

/** Asserts that a call fails with this CKR code. */
export function expectCkr(code: number, call: () => unknown): void {
  try {
    call();
  } catch (error) {
    if (codeOfError(error) === code) return;
    throw error;
  }
  throw new Error(`the call succeeded instead of failing with 0x${code.toString(16)}`);
}

/** The CKR code that a call fails with, or undefined. */
export function codeOf(call: () => unknown): number | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    const code = codeOfError(error);
    if (code === undefined) throw error;
    return code;
  }
}
