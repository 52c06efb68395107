import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { needsClient } from '../../support/clients.js';
import { confFolder, modulePath, projectRoot, type Ran, run, type TestEngine } from '../../support/engine.js';
import { hsmOpenssl, type KeyKind, keyKinds, keyUri, selfSign } from '../support/openssl.js';
import { freePort } from '../support/server.js';

/** The keys that `program.ts prepare` makes, as the helpers for OpenSSL name keys. */
const preparedKey: KeyKind = { ...keyKinds[0], label: 'profile-rsa' as 'rsa-key' };

const nodeProgram = fileURLToPath(new URL('program.js', import.meta.url));
const javaSources = join(projectRoot, 'test', 'interop', 'java');
const javaConfiguration = join(confFolder, 'java-sunpkcs11.cfg');

/** libp11 0.4.12 waits for ever when it gets no session. */
const PATIENCE_MS = 15_000;

/** An engine, and a folder with what the clients work on. */
export class Workshop {
  readonly folder = mkdtempSync(join(tmpdir(), 'chl-profiles-'));

  /** In what a client names, so that the one profile's keys are not in the other's way. */
  constructor(
    public engine: TestEngine,
    public suffix: string,
  ) {
    writeFileSync(join(this.folder, 'data'), Buffer.alloc(4096, 1));
  }

  node(task: string): Promise<Ran> {
    return this.run(process.execPath, [nodeProgram, task]);
  }

  /** A word that ends with @ ends with the suffix. */
  run(command: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const named = words.map((word) => word.replace(/@$/, this.suffix));
    return this.engine.run(command, named, { cwd: this.folder, env, timeout: PATIENCE_MS });
  }

  /** Keys, a certificate and compiled programs: once, in the compatible profile. */
  async prepare(): Promise<void> {
    const prepared = await this.node('prepare');
    if (prepared.code !== 0) throw new Error(prepared.stderr);
    await selfSign(this.engine, preparedKey, join(this.folder, 'localhost.pem'));
    const files = readdirSync(javaSources).filter((name) => name.endsWith('.java'));
    const compiled = await run('javac', ['-d', this.folder, ...files], { cwd: javaSources });
    if (compiled.code !== 0) throw new Error(compiled.stderr);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface ClientAction {
  readonly client: string;
  readonly does: string;
  /** Whether it did. */
  run(workshop: Workshop): Promise<boolean>;
}

const succeeded = ({ code }: Ran): boolean => code === 0;

const pkcs11Tool =
  (...words: string[]) =>
  async (workshop: Workshop) =>
    succeeded(
      await workshop.run('pkcs11-tool', [
        '--module',
        modulePath,
        '--login',
        '--pin',
        workshop.engine.pin,
        ...words,
      ]),
    );

const p11tool =
  (...words: string[]) =>
  async (workshop: Workshop) =>
    succeeded(
      await workshop.run('p11tool', [`--provider=${modulePath}`, '--batch', '--login', ...words], {
        GNUTLS_PIN: workshop.engine.pin,
      }),
    );

const node = (task: string) => async (workshop: Workshop) => succeeded(await workshop.node(task));

async function opensslSign(workshop: Workshop): Promise<boolean> {
  const { engine, folder } = workshop;
  const key = ['-engine', 'pkcs11', '-keyform', 'engine', '-sign', keyUri(engine, preparedKey)];
  const files = ['-out', join(folder, 'signature'), join(folder, 'data')];
  return succeeded(await hsmOpenssl(engine, ['dgst', '-sha256', ...key, ...files], {}, PATIENCE_MS));
}

/** `nginx -t` loads the key, as a start does. */
async function nginxLoads(workshop: Workshop): Promise<boolean> {
  const { engine, folder } = workshop;
  const settings = `daemon off; error_log stderr; pid ${folder}/nginx.pid; env CLOUDHSM_LOCAL_SOCKET;
events {}
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${await freePort()} ssl;
    ssl_certificate localhost.pem;
    ssl_certificate_key "engine:pkcs11:${keyUri(engine, preparedKey)}";
  }
}
`;
  writeFileSync(join(folder, 'nginx.conf'), settings, { mode: 0o600 });
  const env = { OPENSSL_CONF: join(confFolder, 'openssl-engine.cnf') };
  return succeeded(await workshop.run('nginx', ['-t', '-p', folder, '-c', 'nginx.conf'], env));
}

/** Runs a program of test/interop/java, which prints for each thing it did whether it came out right. */
const java =
  (program: string, ...words: string[]) =>
  async (workshop: Workshop) => {
    const options = [
      '-cp',
      workshop.folder,
      `-Dcloudhsm.module=${modulePath}`,
      `-Dhsm.config=${javaConfiguration}`,
    ];
    const { code, stdout } = await workshop.run('java', [...options, program, ...words]);
    return code === 0 && !stdout.includes('false');
  };

const keytool =
  (...words: string[]) =>
  async (workshop: Workshop) =>
    succeeded(
      await workshop.run('keytool', [
        ...[`-J-Dcloudhsm.module=${modulePath}`, '-keystore', 'NONE', '-storetype', 'PKCS11'],
        ...['-addprovider', 'SunPKCS11', '-providerArg', javaConfiguration, '-storepass'],
        ...[workshop.engine.pin, ...words],
      ]),
    );

/** The HSM's prepared RSA key as an authority, of which ssh-keygen wants the public half in a file. */
async function sshCertifies(workshop: Workshop): Promise<boolean> {
  const { folder } = workshop;
  writeFileSync(join(folder, 'askpass'), '#!/bin/sh\nprintf "%s\\n" "$CLOUDHSM_PIN"\n');
  chmodSync(join(folder, 'askpass'), 0o700);
  const env = { SSH_ASKPASS: join(folder, 'askpass'), SSH_ASKPASS_REQUIRE: 'force' };
  const listed = await workshop.run('ssh-keygen', ['-D', modulePath], env);
  const authority = listed.stdout.split('\n').find((line) => line.startsWith('ssh-rsa '));
  if (authority === undefined) return false;
  writeFileSync(join(folder, 'authority.pub'), `${authority}\n`);
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', 'user'], { cwd: folder, input: 'y\n' });
  const what = ['-I', 'user', '-n', 'root', 'user.pub'];
  return succeeded(await workshop.run('ssh-keygen', ['-s', 'authority.pub', '-D', modulePath, ...what], env));
}

/** A database of NSS that knows our module, and a certificate whose key is in the HSM. */
async function certutilMakes(workshop: Workshop): Promise<boolean> {
  const { folder, engine, suffix } = workshop;
  const database = `sql:${folder}`;
  writeFileSync(join(folder, 'pin'), engine.pin);
  if (!readdirSync(folder).includes('pkcs11.txt')) {
    await workshop.run('certutil', ['-d', database, '-N', '--empty-password']);
    const module = ['-add', 'cloudhsm', '-libfile', modulePath, '-force'];
    await workshop.run('modutil', ['-dbdir', database, ...module]);
  }
  const certificate = ['-S', '-x', '-n', `nss${suffix}`, '-s', 'CN=nss', '-t', 'C,C,C', '-m', suffix];
  const random = ['-k', 'rsa', '-g', '2048', '-z', 'data'];
  const token = ['-d', database, '-h', 'hsm1', '-f', 'pin'];
  return succeeded(await workshop.run('certutil', [...token, ...certificate, ...random]));
}

/** Debian's Python has Debian's PyKCS11. */
const pykcs11 = async (workshop: Workshop) =>
  succeeded(
    await workshop.run('/usr/bin/python3', [
      join(projectRoot, 'test', 'interop', 'python', 'pykcs11_client.py'),
      'x',
    ]),
  );

const key = '000102030405060708090a0b0c0d0e0f';
const token = 'pkcs11:token=hsm1';
const rsa = (label: string) => ['--keypairgen', '--key-type', 'rsa:2048', '--label', label];
const sign = ['--sign', '-m', 'SHA256-RSA-PKCS', '--id', '51', '-i', 'data', '-o', 'signature'];
const encrypt = [
  '--encrypt',
  '-m',
  'AES-CBC-PAD',
  '--iv',
  key,
  '--id',
  '52',
  '-i',
  'data',
  '-o',
  'encrypted',
];

/** What each client does in its own way, with nothing set that is not needed. */
export const actions: readonly ClientAction[] = [
  { client: 'pkcs11-tool', does: 'lists objects', run: pkcs11Tool('-O') },
  { client: 'pkcs11-tool', does: 'lists objects, `--session-rw`', run: pkcs11Tool('--session-rw', '-O') },
  { client: 'pkcs11-tool', does: 'makes an RSA pair', run: pkcs11Tool(...rsa('tool-rsa')) },
  {
    client: 'pkcs11-tool',
    does: 'makes an AES key',
    run: pkcs11Tool('--keygen', '--key-type', 'AES:32', '--label', 'tool-aes'),
  },
  {
    client: 'pkcs11-tool',
    does: 'makes an AES key, `--sensitive`',
    run: pkcs11Tool('--keygen', '--key-type', 'AES:32', '--sensitive', '--label', 'tool-aes-sensitive'),
  },
  { client: 'pkcs11-tool', does: 'signs', run: pkcs11Tool(...sign) },
  { client: 'pkcs11-tool', does: 'signs, `--session-rw`', run: pkcs11Tool('--session-rw', ...sign) },
  { client: 'pkcs11-tool', does: 'encrypts, AES-CBC', run: pkcs11Tool(...encrypt) },
  {
    client: 'pkcs11-tool',
    does: 'encrypts, AES-CBC, `--session-rw`',
    run: pkcs11Tool('--session-rw', ...encrypt),
  },
  { client: 'p11tool', does: 'lists objects', run: p11tool('--list-all', token) },
  {
    client: 'p11tool',
    does: 'makes an RSA pair',
    run: p11tool('--generate-privkey=rsa', '--bits=2048', '--label=p11tool-rsa', '--id=61@', token),
  },
  {
    client: 'p11tool',
    does: 'signs',
    run: p11tool('--test-sign', `${token};object=profile-rsa;type=private`),
  },
  { client: 'OpenSSL engine', does: 'signs', run: opensslSign },
  { client: 'nginx', does: 'loads its key', run: nginxLoads },
  { client: 'Java', does: 'lists a KeyStore', run: keytool('-list') },
  {
    client: 'Java',
    does: 'makes an RSA pair in a KeyStore',
    run: keytool(
      '-genkeypair',
      '-keyalg',
      'RSA',
      '-keysize',
      '2048',
      '-alias',
      'java-rsa@',
      '-dname',
      'CN=java',
    ),
  },
  {
    client: 'Java',
    does: 'encrypts, AES-CBC',
    run: java('Encrypt', 'data', '.', key, key, 'AES/CBC/PKCS5Padding'),
  },
  {
    client: 'Java',
    does: 'encrypts, AES-GCM',
    run: java('Encrypt', 'data', '.', key, key.slice(0, 24), 'AES/GCM/NoPadding'),
  },
  { client: 'OpenSSH', does: 'certifies a key', run: sshCertifies },
  { client: 'NSS certutil', does: 'makes an RSA pair and its certificate', run: certutilMakes },
  { client: 'PyKCS11', does: 'makes pairs, signs, encrypts, wraps', run: pykcs11 },
  { client: 'pkcs11js', does: 'makes an RSA pair', run: node('pkcs11js:key-pair') },
  { client: 'pkcs11js', does: 'signs', run: node('pkcs11js:sign') },
  { client: 'pkcs11js', does: 'encrypts, AES-GCM, IV of the HSM', run: node('pkcs11js:gcm-hsm-iv') },
  { client: 'pkcs11js', does: 'encrypts, AES-GCM, IV of its own', run: node('pkcs11js:gcm-own-iv') },
  { client: 'graphene', does: 'makes an EC pair', run: node('graphene:key-pair') },
  { client: 'graphene', does: 'signs', run: node('graphene:sign') },
  { client: 'graphene', does: 'encrypts, AES-CBC', run: node('graphene:encrypt-cbc') },
];

/** Skips the test where one of the clients is missing. */
export function needsAllClients(test: Mocha.Context): void {
  needsClient(test, 'pkcs11-tool', 'opensc');
  needsClient(test, 'p11tool', 'gnutls-bin');
  needsClient(test, 'openssl', 'openssl');
  needsClient(test, 'pkcs11.so', 'libengine-pkcs11-openssl');
  needsClient(test, 'nginx', 'nginx-light');
  needsClient(test, 'javac', 'default-jdk-headless');
  needsClient(test, 'ssh-keygen', 'openssh-client');
  needsClient(test, 'modutil', 'libnss3-tools');
  needsClient(test, 'PyKCS11', 'python3-pykcs11');
}
