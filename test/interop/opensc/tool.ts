import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../../support/clients.js';
import { modulePath, type Ran, run, TestEngine } from '../../support/engine.js';

/** Hashes as pkcs11-tool and as OpenSSL call them; `saltBytes` is what PSS takes by default: the hash's length. */
export const hashes = [
  { hash: 'SHA1', mechanism: 'SHA-1', openssl: 'sha1', saltBytes: 20 },
  { hash: 'SHA224', mechanism: 'SHA224', openssl: 'sha224', saltBytes: 28 },
  { hash: 'SHA256', mechanism: 'SHA256', openssl: 'sha256', saltBytes: 32 },
  { hash: 'SHA384', mechanism: 'SHA384', openssl: 'sha384', saltBytes: 48 },
  { hash: 'SHA512', mechanism: 'SHA512', openssl: 'sha512', saltBytes: 64 },
] as const;

/** `fieldBytes` is half a raw signature; `readable`: OpenSC 0.23 cannot read P-384 public keys, SoftHSM's neither. */
export const curves = [
  { curve: 'secp224r1', fieldBytes: 28, readable: true },
  { curve: 'prime256v1', fieldBytes: 32, readable: true },
  { curve: 'secp256k1', fieldBytes: 32, readable: true },
  { curve: 'secp384r1', fieldBytes: 48, readable: false },
  { curve: 'secp521r1', fieldBytes: 66, readable: true },
] as const;

/** id-ecPublicKey (RFC 5480, section 2.1.1), as DER. */
const ecPublicKeyOid = Buffer.from('06072a8648ce3d0201', 'hex');

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** A SubjectPublicKeyInfo out of the CKA_EC_PARAMS and the CKA_EC_POINT, an OCTET STRING, that a listing shows. */
function subjectPublicKeyInfo(parameters: Buffer, ecPoint: Buffer): Buffer {
  const point = ecPoint.subarray(ecPoint[1] === 0x81 ? 3 : 2);
  return der(0x30, der(0x30, ecPublicKeyOid, parameters), der(0x03, Buffer.from([0]), point));
}

/** The objects of a `pkcs11-tool -O`, each as its lines. */
export function objectsOf({ stdout }: Ran): string[] {
  return stdout.split(/\n(?=\S)/).filter((text) => / Object[;, ]/.test(text));
}

export async function succeed(running: Promise<Ran>): Promise<Ran> {
  const ran = await running;
  expect(ran.code, `${ran.stdout}${ran.stderr}`).to.equal(0);
  return ran;
}

export async function expectRefused(running: Promise<Ran>, ckr: string): Promise<void> {
  const ran = await running;
  expect(ran.code).not.to.equal(0);
  expect(ran.stderr).to.contain(ckr);
}

/** pkcs11-tool, and OpenSSL beside it, on an engine and in a folder that are theirs alone. */
export class Pkcs11Tool {
  private constructor(
    readonly engine: TestEngine,
    private readonly folder: string,
  ) {}

  /** Skips the test where a program is missing. */
  static async start(test: Mocha.Context): Promise<Pkcs11Tool> {
    needsClient(test, 'pkcs11-tool', 'opensc');
    needsClient(test, 'openssl', 'openssl');
    const engine = await TestEngine.start();
    const tool = new Pkcs11Tool(engine, mkdtempSync(join(tmpdir(), 'chl-opensc-')));
    tool.write('data', randomBytes(70_001));
    tool.write('other-data', randomBytes(70_001));
    tool.write('short', Buffer.from('a short message'));
    tool.write('blocks', randomBytes(16 * 60));
    return tool;
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    rmSync(this.folder, { recursive: true });
  }

  write(name: string, contents: Buffer): void {
    writeFileSync(join(this.folder, name), contents);
  }

  read(name: string): Buffer {
    return readFileSync(join(this.folder, name));
  }

  /** Runs pkcs11-tool in the test's folder, without a login. */
  run(...words: string[]): Promise<Ran> {
    return this.engine.run('pkcs11-tool', ['--module', modulePath, ...words], { cwd: this.folder });
  }

  runAs(pin: string, ...words: string[]): Promise<Ran> {
    return this.run('--login', '--pin', pin, ...words);
  }

  /** Runs pkcs11-tool as the crypto user, who may fail. */
  runAsUser(...words: string[]): Promise<Ran> {
    return this.runAs(this.engine.pin, ...words);
  }

  /** Runs pkcs11-tool as the crypto user, who must succeed. */
  hsm(...words: string[]): Promise<Ran> {
    return succeed(this.runAsUser(...words));
  }

  openssl(...words: string[]): Promise<Ran> {
    return succeed(run('openssl', words, { cwd: this.folder }));
  }

  async objectsNamed(label: string): Promise<string[]> {
    return objectsOf(await this.hsm('-O')).filter((text) => text.includes(`label:      ${label}\n`));
  }

  /** Also writes the public key to `<label>.pub`, for OpenSSL. */
  async generateEcKey(curve: string, id: string, label: string): Promise<Ran> {
    const made = await this.hsm(
      ...['--keypairgen', '--key-type', `EC:${curve}`, '--usage-sign', '--id', id, '--label', label],
    );
    await this.#writeEcPublicKey(label);
    return made;
  }

  /** Writes the listed public key, which `--read-object` cannot read on every curve. */
  async #writeEcPublicKey(label: string): Promise<void> {
    const listed = (await this.objectsNamed(label)).find((text) => text.startsWith('Public Key'));
    const field = (name: string) =>
      Buffer.from(new RegExp(`${name}: +([0-9a-f]+)`).exec(listed ?? '')?.[1] ?? '', 'hex');
    this.write(`${label}.pub`, subjectPublicKeyInfo(field('EC_PARAMS'), field('EC_POINT')));
  }

  /** Also writes the public key to `<label>.pub`, for OpenSSL. */
  async generateRsaKey(bits: number, id: string, label: string): Promise<Ran> {
    const made = await this.hsm('--keypairgen', '--key-type', `rsa:${bits}`, '--id', id, '--label', label);
    await this.hsm('--read-object', '--type', 'pubkey', '--id', id, '-o', `${label}.pub`);
    return made;
  }

  /** Writes the signature to `signature`, where those who verify it look for it. */
  sign(mechanism: string, id: string, ...words: string[]): Promise<Ran> {
    return this.hsm('--sign', '-m', mechanism, '--id', id, '-o', 'signature', ...words);
  }

  #verify(mechanism: string, id: string, input: string, ...words: string[]): Promise<Ran> {
    return this.runAsUser(
      ...['--verify', '-m', mechanism, '--id', id, '-i', input, '--signature-file', 'signature', ...words],
    );
  }

  /** The HSM itself must take the signature for the data and refuse it for other data. */
  async expectVerifiedByHsm(mechanism: string, id: string, ...words: string[]): Promise<void> {
    const { stdout } = await succeed(this.#verify(mechanism, id, 'data', ...words));
    expect(stdout).to.contain('Signature is valid');
    const other = await this.#verify(mechanism, id, 'other-data', ...words);
    expect(other.stdout).to.contain('Invalid signature');
  }

  opensslVerify(key: string, hash: string, ...options: string[]): Promise<Ran> {
    return this.openssl(
      ...['dgst', `-${hash}`, '-keyform', 'DER', '-verify', key],
      ...['-signature', 'signature', ...options, 'data'],
    );
  }
}
