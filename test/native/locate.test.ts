import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { buildNative, modulePath, nativeProgram, runProgram } from './build-native.js';

describe('where the C module looks for the engine', function () {
  this.timeout(180_000);
  let folder: string;
  before(() => {
    buildNative();
    folder = mkdtempSync(join(tmpdir(), 'locate-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const complaint = async (env: Record<string, string>): Promise<string> => {
    const { errors } = await runProgram(nativeProgram('lifecycle_client'), [modulePath, 'initialize'], env);
    expect(errors).to.have.length(1);
    return errors[0]!;
  };
  const config = (text: string): string => {
    const file = join(folder, 'cloudhsm-pkcs11.cfg');
    writeFileSync(file, text);
    return file;
  };
  const everything = () => ({
    CLOUDHSM_LOCAL_SOCKET: '/a/socket',
    CLOUDHSM_LOCAL_HOME: '/a/home',
    CLOUDHSM_PKCS11_CONFIG: config('{"cluster": {"not": "socket", "socket" : "/from\\/config"}}'),
    XDG_STATE_HOME: '/a/state',
    HOME: '/a/user',
  });

  it('goes from the particular to the general', async () => {
    const env: Record<string, string> = everything();
    const places = [
      ['CLOUDHSM_LOCAL_SOCKET', '/a/socket'],
      ['CLOUDHSM_LOCAL_HOME', '/a/home/run/engine.sock'],
      ['CLOUDHSM_PKCS11_CONFIG', '/from/config'],
      ['XDG_STATE_HOME', '/a/state/cloudhsm-local/run/engine.sock'],
      ['HOME', '/a/user/.local/state/cloudhsm-local/run/engine.sock'],
    ] as const;
    for (const [variable, path] of places) {
      expect(await complaint(env)).to.include(` ${path} `);
      if (variable === 'CLOUDHSM_PKCS11_CONFIG') env[variable] = '/nowhere';
      else delete env[variable];
    }
    expect(await complaint(env)).to.include(' /run/cloudhsm-local/engine.sock ');
  });

  it('prefers a default place that exists', async () => {
    const inHome = join(folder, '.local/state/cloudhsm-local/run/engine.sock');
    mkdirSync(dirname(inHome), { recursive: true });
    writeFileSync(inHome, '');
    const env = { CLOUDHSM_PKCS11_CONFIG: '/nowhere', XDG_STATE_HOME: '/a/state', HOME: folder };
    expect(await complaint(env))
      .to.include(inHome)
      .and.include('nobody listens there');
  });

  it('takes the key "socket" only, with a string', async () => {
    for (const text of [
      '{"sockets": "/x"}',
      '{"a": "\\"socket\\": \\"/x\\""}',
      '{"socket": 3}',
      '"socket"',
      '{"socket',
    ]) {
      const line = await complaint({ CLOUDHSM_PKCS11_CONFIG: config(text), HOME: '/a/user' });
      expect(line, text).to.include('/a/user/.local');
    }
  });

  it('refuses a path too long for a socket, and names the limit', async () => {
    const long = `/${'x'.repeat(107)}`;
    const expected = /longer than the 107 bytes/;
    expect(await complaint({ CLOUDHSM_LOCAL_SOCKET: long })).to.match(expected);
    expect(await complaint({ CLOUDHSM_LOCAL_HOME: long })).to.match(expected);
    expect(await complaint({ CLOUDHSM_PKCS11_CONFIG: config(JSON.stringify({ socket: long })) })).to.match(
      expected,
    );
    expect(await complaint({ CLOUDHSM_LOCAL_SOCKET: long.slice(1) })).to.include('there is no such socket');
  });
});
