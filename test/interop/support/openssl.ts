import { join } from 'node:path';
import { expect } from 'chai';
import { confFolder, type Ran, run, type TestEngine } from '../../support/engine.js';

/** The kinds of key that servers use. */
export const keyKinds = [
  { name: 'RSA-2048', family: 'RSA', keyType: 'rsa:2048', label: 'rsa-key', publicKey: '(2048 bit)' },
  { name: 'P-256', family: 'EC', keyType: 'EC:prime256v1', label: 'p256-key', publicKey: '(256 bit)' },
  { name: 'P-384', family: 'EC', keyType: 'EC:secp384r1', label: 'p384-key', publicKey: '(384 bit)' },
] as const;

export type KeyKind = (typeof keyKinds)[number];

/** The options that make an OpenSSL command take its key from the engine. */
export const fromEngine = ['-engine', 'pkcs11', '-keyform', 'engine'] as const;

/** Which configuration makes OpenSSL find the engine and our module. */
export const engineConfiguration = join(confFolder, 'openssl-engine.cnf');

export function keyUri(engine: TestEngine, { label }: KeyKind, pin = engine.pin): string {
  return `pkcs11:token=hsm1;object=${label};type=private?pin-value=${pin}`;
}

/** The environment of programs that use the engine: that of `cloudhsm-local env`, and our configuration. */
export function opensslEnvironment(engine: TestEngine): NodeJS.ProcessEnv {
  return { ...engine.env, OPENSSL_CONF: engineConfiguration };
}

/** OpenSSL with the engine. */
export function hsmOpenssl(
  engine: TestEngine,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
  timeoutMs?: number,
): Promise<Ran> {
  const options = { env: { ...opensslEnvironment(engine), ...env } };
  return run('openssl', words, timeoutMs === undefined ? options : { ...options, timeout: timeoutMs });
}

/** A program that knows nothing of HSMs: what it accepts is right. */
export function plain(command: string, words: readonly string[]): Promise<Ran> {
  const { OPENSSL_CONF: _, PKCS11_MODULE_PATH: __, ...env } = process.env;
  return run(command, words, { env });
}

export function expectSuccess(ran: Ran): Ran {
  expect(ran.code, `${ran.stdout}\n${ran.stderr}`).to.equal(0);
  return ran;
}

/** Makes a key pair in the HSM, as an administrator would: with pkcs11-tool. */
export async function generateKeyPair(engine: TestEngine, kind: KeyKind): Promise<void> {
  const id = Buffer.from(kind.label).toString('hex');
  const usage = kind.family === 'RSA' ? ['--usage-sign', '--usage-decrypt'] : ['--usage-sign'];
  const module = engine.env['PKCS11_MODULE_PATH']!;
  const key = ['--key-type', kind.keyType, '--label', kind.label, '--id', id, ...usage];
  const login = ['--module', module, '--login', '--pin', engine.pin];
  expectSuccess(await engine.run('pkcs11-tool', [...login, '--keypairgen', ...key]));
}

/** Writes a certificate for localhost that the key in the HSM has signed. */
export async function selfSign(engine: TestEngine, kind: KeyKind, file: string): Promise<void> {
  const subject = ['-subj', '/CN=localhost', '-days', '30', '-sha256'];
  const words = [
    'req',
    '-new',
    '-x509',
    ...subject,
    ...fromEngine,
    '-key',
    keyUri(engine, kind),
    '-out',
    file,
  ];
  expectSuccess(await hsmOpenssl(engine, words));
}

/** Asks the engine for the public half of the key in the HSM, and writes it as PEM. */
export async function writePublicKey(engine: TestEngine, kind: KeyKind, file: string): Promise<void> {
  const words = ['pkey', '-engine', 'pkcs11', '-inform', 'engine', '-in', keyUri(engine, kind), '-pubout'];
  expectSuccess(await hsmOpenssl(engine, [...words, '-out', file]));
}
