import { expect } from 'chai';
import type { LibraryLogLevel } from '../../src/base/client-config.js';
import { silentLog } from '../../src/base/log.js';
import { Applications } from '../../src/bridge/applications.js';
import { InProcessChannel } from '../../src/bridge/in-process.js';
import type { NamedHsm } from '../../src/cluster/cluster.js';
import { logConnecting } from '../../src/cryptoki/connecting.js';
import { slotsFor } from '../../src/cryptoki/library.js';
import { LibraryLog } from '../../src/cryptoki/library-log.js';
import { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKF, CKU } from '../../src/pkcs11/constants.js';
import { Writer } from '../../src/wire/bytes.js';
import { type CallName, calls } from '../../src/wire/calls.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

function request(name: CallName, write: (writer: Writer) => void = () => undefined): Buffer {
  const writer = new Writer();
  writer.u16(calls.findIndex((call) => call.name === name));
  write(writer);
  return writer.finish();
}

describe("the library's log", () => {
  let lines: string;
  const sink = {
    write: (text: string) => {
      lines += text;
    },
    close: () => undefined,
  };
  // The time, pid and thread of the line in reference 14.4.
  const logAt = (level: LibraryLogLevel): LibraryLog =>
    new LibraryLog(sink, level, 2517, () => Date.parse('2021-06-23T11:24:38.628Z'));
  const HEAD = '2021-06-23T11:24:38.628Z ERROR [2517] ThreadId(3)';

  /** A channel of an application in the strict profile that logs like that. */
  async function open(level: LibraryLogLevel): Promise<{
    call: (name: CallName, write?: (writer: Writer) => void) => Promise<Buffer>;
    applications: Applications;
  }> {
    const offer = { clusters: [await memoryCluster({ profile: 'strict' })], profile: 'strict' } as const;
    const log = logAt(level);
    const applications = new Applications(() => ({
      slots: slotsFor(offer, undefined),
      log,
      readiness: new ReadinessRecord(silentLog),
    }));
    const channel = new InProcessChannel(applications, silentLog);
    await channel.hello();
    return {
      applications,
      call: async (name, write) => (await channel.exchange(request(name, write)))!,
    };
  }
  const openSession =
    (flags: number, callback = 0) =>
    (writer: Writer) => {
      writer.slot(0);
      writer.u64(flags);
      writer.u8(callback);
      writer.u8(callback);
    };

  beforeEach(() => {
    lines = '';
  });

  it('has the lines of reference 14.4 and section 5 for a session that is not read-write', async () => {
    const { call } = await open('info');
    await call('C_OpenSession', openSession(CKF.CKF_SERIAL_SESSION));
    const head = `${HEAD.replace('(3)', '(1)')} [cloudhsm_pkcs11::session::C_OpenSession]`;
    expect(lines).to.equal(
      `${head} IE000: Failed to open provider session: ReadOnly cannot be created by Hsm1 provider: CloudHSM opens read-write sessions only (read-only-session). Set CKF_RW_SESSION in C_OpenSession\n` +
        `${head} C_OpenSession failed, returning 0x00000006\n`,
    );
  });

  it('has the words of Client SDK 5 for a session with a callback, before it looks whether it is read-write', async () => {
    const { call } = await open('info');
    await call('C_OpenSession', openSession(CKF.CKF_SERIAL_SESSION, 1));
    // Issue 342 of pkcs11-provider, which opened read-only sessions then [seen].
    expect(lines).to.include(
      '[cloudhsm_pkcs11::session::C_OpenSession] BP000: Notify callback function is not supported, please pass in NULL_PTR for both pApplication and Notify',
    );
    expect(lines).to.include('C_OpenSession failed, returning 0x00000007\n');
  });

  it('numbers threads by the channel that they use', () => {
    logAt('info').writeFailure('error', 'C_SignInit', 'why', 'C_SignInit failed, returning 0x00000060', 3);
    const head = `${HEAD} [cloudhsm_pkcs11::sign::C_SignInit]`;
    expect(lines).to.equal(`${head} why\n${head} C_SignInit failed, returning 0x00000060\n`);
  });

  it('has a module for each call, in the chapters that were seen', async () => {
    const log = logAt('info');
    for (const { name } of calls) log.writeFailure('error', name, '', '', 3);
    for (const { name } of calls)
      expect(lines).to.match(new RegExp(`\\[cloudhsm_pkcs11::[a-z]+::${name}\\]`));
    for (const path of [
      'session::C_Logout',
      'sign::C_SignFinal',
      'decryption::C_DecryptInit',
      'slots::C_GetTokenInfo',
    ]) {
      expect(lines).to.include(`[cloudhsm_pkcs11::${path}]`);
    }
  });

  it('leaves out what is below its level, and what programs provoke by asking unless it is at debug', async () => {
    for (const [level, expected] of [
      ['error', 0],
      ['info', 0],
      ['debug', 2],
    ] as const) {
      lines = '';
      const { call } = await open(level);
      await call('C_GetSlotList', (writer) => {
        writer.u8(1);
        writer.u64(0);
      });
      expect(lines.split('\n').length - 1, level).to.equal(expected);
    }
    expect(lines).to.include('DEBUG').and.include('C_GetSlotList failed, returning 0x00000150');
    lines = '';
    logAt('error').write('warn', 'path', ['text']);
    expect(lines).to.equal('');
  });

  it('has no password, right or wrong, and no key', async () => {
    const { call } = await open('trace');
    const session = (await call('C_OpenSession', openSession(6))).readUInt32LE(4);
    const login = (pin: string) =>
      call('C_Login', (writer) => {
        writer.u64(session);
        writer.u64(CKU.CKU_USER);
        writer.u32(pin.length);
        writer.bytes(Buffer.from(pin));
      });
    await login('crypto_user:Wr0ng-Guess');
    await login('Wr0ng-Guess');
    await login(`crypto_user:${PASSWORD}`);
    await call('C_CreateObject', (writer) => {
      writer.u64(session);
      writer.u32(1);
      writer.u64(CKA.CKA_VALUE);
      writer.u8(0);
      writer.u32(16);
      writer.bytes(Buffer.from('0123456789abcdef'));
    });
    expect(lines).to.include('C_Login failed').and.include('C_CreateObject failed');
    for (const secret of ['Wr0ng-Guess', PASSWORD, '0123456789abcdef', '30313233']) {
      expect(lines).not.to.include(secret);
    }
  });

  it('keeps a line one line, whatever a program puts into it', () => {
    logAt('info').write('error', 'path', [`a\nERROR\r\x1b[31m${'x'.repeat(5000)}`], 3);
    expect(lines.split('\n')).to.have.length(2);
    expect(lines).to.include('a?ERROR??[31mxxx').and.have.length.below(2100);
  });

  it('tells how it connects to each HSM in use', async () => {
    const cluster = await memoryCluster({ hsms: 2 });
    const [all] = slotsFor({ clusters: [cluster], profile: 'strict' }, undefined);
    const slot = { ...all!, isDisabled: ({ settings }: NamedHsm) => settings.id === 'hsm-2' };
    logConnecting(logAt('warn'), slot);
    expect(lines).to.equal('');
    logConnecting(logAt('info'), slot);
    const texts = lines.split('\n').map((line) => line.replace(/^.*?\] /, '').replace(/^.*?\] /, ''));
    expect(texts).to.deep.equal([
      'HSM hsm-1:2223 is connecting',
      'Initializing new connection: HSM { IP: hsm-1, Port: 2223 }',
      'Version handshake with server succeeded. Received version: ComponentVersion { major: 2, minor: 8 }',
      'Reporting sdk version Pkcs11:5.18.0',
      'Current cluster version is 0; incoming cluster version is 2',
      'HSMs to be added: {HSM { IP: hsm-1, Port: 2223 }}',
      '',
    ]);
  });
});
