import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { buildNative, modulePath, nativeProgram } from '../native/build-native.js';
import type { TestEngine } from '../support/engine.js';
import { codeOf, type TestModule, useModule } from '../support/module.js';

const SHA256 = { mechanism: pkcs11js.CKM_SHA256 };
/** What one turn of shared memory holds (native/shared/channel-layout.h), and of C_Digest's request all but the data. */
const TURN_BYTES = 65536 - 3 * 64;
const BESIDE_BYTES = 2 + 8 + 4 + 8;
const LENGTHS = [
  0,
  1,
  TURN_BYTES - BESIDE_BYTES,
  TURN_BYTES - BESIDE_BYTES + 1,
  2 * TURN_BYTES - BESIDE_BYTES,
  2 * TURN_BYTES - BESIDE_BYTES + 1,
  300_000,
  1_048_576,
  3_000_001,
];

describe('large digests of several threads', function () {
  this.timeout(120_000);
  const OF_THREADS = 'cloudhsm_local_thread_operations_total';
  const THREADS = 4;
  let engine: TestEngine;
  let module: TestModule;
  useModule((opened) => {
    ({ engine, module } = opened);
  });

  const counted = async (pattern: string): Promise<number> => (await engine.counted(pattern))[0]!;
  const inputs = LENGTHS.map((length) => randomBytes(length));
  const expected = inputs.map((input) => createHash('sha256').update(input).digest('hex'));

  async function digest(session: Buffer, index: number): Promise<void> {
    module.p11.C_DigestInit(session, SHA256);
    const found = await module.p11.C_DigestAsync(session, inputs[index]!, Buffer.alloc(32));
    expect(found.toString('hex'), `${LENGTHS[index]} bytes`).to.equal(expected[index]);
  }

  /** `times` digests in each of several threads, of every length in an order of its own. */
  async function digests(
    times: number,
    between: (session: Buffer, time: number) => void = () => {},
  ): Promise<void> {
    const sessions = Array.from({ length: THREADS }, () => module.openSession());
    const work = async (session: Buffer, thread: number): Promise<void> => {
      for (let time = 0; time < times; time++) {
        await digest(session, (time * (thread + 2) + thread) % LENGTHS.length);
        between(session, time);
      }
    };
    await Promise.all(sessions.map(work));
    for (const session of sessions) module.p11.C_CloseSession(session);
  }

  it('are those of the data, and threads make some of them', async () => {
    const before = await counted(OF_THREADS);
    await digests(200);
    expect((await counted(OF_THREADS)) - before).to.be.greaterThan(0);
  });

  it('count as calls, each one', async () => {
    const patterns = ['C_DigestInit', 'C_Digest'].map(
      (call) => `cloudhsm_local_calls_total\\{call="${call}"\\}`,
    );
    const counts = () => Promise.all(patterns.map(counted));
    const before = await counts();
    await digests(60);
    expect(await counts()).to.deep.equal(before.map((number) => number + 60 * THREADS));
  });

  it('leave the sessions to whatever else comes between them', async () => {
    const { p11 } = module;
    const short = Buffer.from('abc');
    const ofShort = createHash('sha256').update(short).digest();
    await digests(60, (session, time) => {
      p11.C_DigestInit(session, SHA256);
      expect(codeOf(() => p11.C_DigestInit(session, SHA256))).to.equal(pkcs11js.CKR_OPERATION_ACTIVE);
      const large = inputs[time % 2 === 0 ? 7 : 8]!;
      // A buffer that is too small does not end it, and what comes then is in one piece as well.
      expect(codeOf(() => p11.C_Digest(session, large, Buffer.alloc(31)))).to.equal(
        pkcs11js.CKR_BUFFER_TOO_SMALL,
      );
      expect(p11.C_Digest(session, short, Buffer.alloc(32))).to.deep.equal(ofShort);
      expect(codeOf(() => p11.C_Digest(session, large, Buffer.alloc(32)))).to.equal(
        pkcs11js.CKR_OPERATION_NOT_INITIALIZED,
      );
    });
  });

  it('end with their session, and nobody else notices', async () => {
    const doomed = module.openSession();
    const others = digests(60);
    for (let time = 0; time < 20; time++) await digest(doomed, 7);
    module.p11.C_DigestInit(doomed, SHA256);
    const last = module.p11.C_DigestAsync(doomed, inputs[8]!, Buffer.alloc(32)).then(
      (found) => found.toString('hex'),
      (error: Error) => error.message,
    );
    module.p11.C_CloseSession(doomed);
    expect(await last).to.match(new RegExp(`^${expected[8]}$|CKR_SESSION_|CKR_OPERATION_`));
    await others;
  });

  type Hashing = ChildProcessByStdio<null, Readable, null>;

  /** A program whose four threads hash, once they do. */
  async function hashing(scene: string): Promise<{ child: Hashing; said: () => string }> {
    buildNative();
    const child = spawn(nativeProgram('behaviour_client'), [modulePath, scene], {
      env: { ...engine.env, CLOUDHSM_PIN: engine.pin },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (text: Buffer) => {
      said += text.toString();
    });
    await once(child.stdout, 'data');
    return { child, said: () => said };
  }

  it('are right also where their program stands still now and then', async () => {
    const { child, said } = await hashing('digest-often');
    const gone = once(child, 'close');
    for (let round = 0; child.exitCode === null; round++) {
      child.kill('SIGSTOP');
      await pause(1 + (round % 5));
      child.kill('SIGCONT');
      await pause(1 + (round % 3));
    }
    await gone;
    expect(said()).to.equal('hashing 0x0\nsessions of their own: 4 x 0x0\nC_Finalize 0x0\n');
  });

  it('of programs killed in the middle of them, nothing is left', async () => {
    const memories = (): number =>
      readFileSync(`/proc/${engine.pid}/maps`, 'utf8').split('memfd:cloudhsm-local').length - 1;
    const before = memories();
    for (let round = 0; round < 10; round++) {
      const { child } = await hashing('digest-forever');
      const gone = once(child, 'exit');
      await pause(round);
      child.kill('SIGKILL');
      await gone;
    }
    const until = Date.now() + 10_000;
    while (memories() > before && Date.now() < until) await pause(20);
    expect(memories()).to.equal(before);
    await digests(20);
  });
});
