import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { modulePath, type Ran, TestEngine } from '../support/engine.js';

/** Pairs, and what ssh calls them. */
const keys = [
  { label: 'ssh-rsa', type: 'rsa:2048', id: '80', listed: 'ssh-rsa' },
  { label: 'ssh-p256', type: 'EC:prime256v1', id: '81', listed: 'ecdsa-sha2-nistp256' },
  { label: 'ssh-p384', type: 'EC:secp384r1', id: '82', listed: 'ecdsa-sha2-nistp384' },
] as const;

describe('OpenSSH', function () {
  this.timeout(120_000);

  let engine: TestEngine;
  let folder: string;
  let agent: string | undefined;

  const path = (name: string): string => join(folder, name);

  /** Runs one of its programs; who asks for the PIN gets it from a program, as where nobody sits in front. */
  async function ssh(command: string, words: readonly string[], input?: string): Promise<Ran> {
    const ran = await engine.run(command, words, {
      cwd: folder,
      ...(input !== undefined && { input }),
      env: {
        SSH_ASKPASS: path('askpass'),
        SSH_ASKPASS_REQUIRE: 'force',
        SSH_AUTH_SOCK: path('agent.sock'),
      },
    });
    expect(ran.code, `${command}: ${ran.stdout}${ran.stderr}`).to.equal(0);
    return ran;
  }

  before(async function () {
    needsClient(this, 'ssh-agent', 'openssh-client');
    needsClient(this, 'pkcs11-tool', 'opensc');
    folder = mkdtempSync(join(tmpdir(), 'chl-ssh-'));
    writeFileSync(path('askpass'), '#!/bin/sh\nprintf "%s\\n" "$CLOUDHSM_PIN"\n');
    chmodSync(path('askpass'), 0o700);
    engine = await TestEngine.start();
    for (const { label, type, id } of keys) {
      const generation = ['--keypairgen', '--key-type', type, '--label', label, '--id', id, '--usage-sign'];
      const login = ['--module', modulePath, '--login', '--pin', engine.pin];
      await ssh('pkcs11-tool', [...login, ...generation]);
    }
    const { stdout } = await ssh('ssh-agent', ['-a', path('agent.sock'), '-P', modulePath]);
    agent = /SSH_AGENT_PID=(\d+)/.exec(stdout)![1];
  });

  after(async () => {
    if (agent !== undefined) process.kill(Number(agent));
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const publicKeys = async (): Promise<string[]> => {
    const { stdout } = await ssh('ssh-keygen', ['-D', modulePath]);
    return stdout.split('\n').filter((line) => line !== '');
  };

  it('lists the public keys', async () => {
    const types = (await publicKeys()).map((line) => line.split(' ')[0]);
    expect(types.sort()).to.deep.equal(keys.map(({ listed }) => listed).sort());
  });

  it('signs through its agent with each of them, and lets them go', async () => {
    await ssh('ssh-add', ['-s', modulePath]);
    writeFileSync(path('message'), 'let me in\n');
    for (const [at, line] of (await publicKeys()).entries()) {
      writeFileSync(path(`${at}.pub`), `${line}\n`);
      rmSync(path('message.sig'), { force: true });
      await ssh('ssh-keygen', ['-Y', 'sign', '-f', path(`${at}.pub`), '-n', 'file', path('message')]);
      writeFileSync(path('allowed'), `somebody ${line.split(' ').slice(0, 2).join(' ')}\n`);
      const who = ['-f', path('allowed'), '-I', 'somebody', '-n', 'file', '-s', path('message.sig')];
      const verified = await ssh('ssh-keygen', ['-Y', 'verify', ...who], 'let me in\n');
      expect(verified.stdout).to.contain('Good "file" signature');
    }
    await ssh('ssh-add', ['-e', modulePath]);
    const left = await engine.run('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: path('agent.sock') } });
    expect(left.stdout).to.contain('no identities');
  });

  it('certifies another key: the HSM is its authority', async () => {
    const [authority] = (await publicKeys()).filter((line) => line.startsWith('ecdsa-sha2-nistp256'));
    writeFileSync(path('authority.pub'), `${authority}\n`);
    await ssh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'user', '-f', path('user')]);
    const what = ['-I', 'a user', '-n', 'root', path('user.pub')];
    await ssh('ssh-keygen', ['-s', path('authority.pub'), '-D', modulePath, ...what]);
    expect(readFileSync(path('user-cert.pub'), 'utf8')).to.match(/^ssh-ed25519-cert-v01@openssh\.com /);
    const { stdout } = await ssh('ssh-keygen', ['-L', '-f', path('user-cert.pub')]);
    expect(stdout).to.contain('using ecdsa-sha2-nistp256');
  });
});
