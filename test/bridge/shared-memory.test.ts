import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { buildNative, modulePath, nativeProgram, runProgram } from '../native/build-native.js';
import { cloudhsmLocal, run, TestEngine } from '../support/engine.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What an engine holds for its clients. */
function holdings({ pid }: TestEngine): { descriptors: number; memories: number } {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    memories: maps.split('\n').filter((line) => line.includes('memfd:cloudhsm-local')).length,
  };
}

async function clientsOf(engine: TestEngine): Promise<unknown[]> {
  const { stdout } = await cloudhsmLocal(['status', '--home', engine.home, '--json']);
  return JSON.parse(stdout).clients;
}

/** Waits until the engine noticed that its clients are gone. */
async function settled(engine: TestEngine): Promise<void> {
  for (let tries = 0; tries < 100 && holdings(engine).memories > 0; tries++) await pause(50);
  expect(await clientsOf(engine)).to.deep.equal([]);
}

describe('shared memory', function () {
  this.timeout(180_000);
  const transportBefore = process.env['CLOUDHSM_LOCAL_TRANSPORT'];
  let engine: TestEngine;
  before(async () => {
    buildNative();
    process.env['CLOUDHSM_LOCAL_TRANSPORT'] = 'memory';
    engine = await TestEngine.start(['--hsms', '1']);
  });
  after(async () => {
    await engine.stop();
    if (transportBefore === undefined) delete process.env['CLOUDHSM_LOCAL_TRANSPORT'];
    else process.env['CLOUDHSM_LOCAL_TRANSPORT'] = transportBefore;
  });

  const working = async (kill: (end: () => boolean) => Promise<void>): Promise<void> => {
    const child = spawn(nativeProgram('transport_client'), [modulePath, 'forever'], {
      env: engine.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(child, 'exit');
    await once(child.stdout, 'data');
    await kill(() => child.kill('SIGKILL'));
    await gone;
  };

  it('is what programs use', async () => {
    await working(async (end) => {
      expect(holdings(engine).memories).to.be.greaterThan(0);
      expect(await clientsOf(engine)).to.have.length(1);
      end();
    });
    await settled(engine);
  });

  it('of 100 programs killed in the middle of their calls, nothing is left', async () => {
    await settled(engine);
    const before = holdings(engine);
    for (let round = 0; round < 100; round++) {
      await working(async (end) => {
        await pause(round % 10);
        end();
      });
    }
    await settled(engine);
    // The log or the store may have opened a file meanwhile, but not a hundred.
    expect(holdings(engine).descriptors).to.be.at.most(before.descriptors + 3);
    expect(holdings(engine).memories).to.equal(0);
  });

  const hostile = (trick: string, ...more: string[]) =>
    run(nativeProgram('hostile_client'), [engine.socket, trick, ...more], { timeout: 30_000 });

  for (const [trick, what] of [
    ['length', 'a frame larger than any'],
    ['ahead', 'a turn that was not due'],
    ['back', 'a turn taken back'],
    ['impatient', 'a second call while one is under way'],
    ['frame', 'a request that is none'],
  ] as const) {
    it(`ends the connection of a program that writes ${what}, and says so once`, async () => {
      const logged = engine.log.split('\n').length;
      const { stdout, code, stderr } = await hostile(trick);
      expect(stderr).to.equal('');
      expect([code, stdout]).to.deep.equal([0, 'hung up\n']);
      const lines = engine.log.split('\n').slice(logged - 1);
      expect(lines.filter((line) => line.includes('a connection was ended'))).to.have.length(1);
      await settled(engine);
    });
  }

  it('outlives programs that leave in the middle of a frame', async () => {
    expect((await hostile('unfinished')).code).to.equal(0);
    await settled(engine);
  });

  it('bears programs that write anything anywhere at any time, and others do not notice', async () => {
    await working(async (end) => {
      const seeds = [1, 2, 3, 4, 5, 6];
      const outcomes = await Promise.all(seeds.map((seed) => hostile('scribble', String(seed))));
      expect(outcomes.map(({ stderr }) => stderr)).to.deep.equal(seeds.map(() => ''));
      expect(await clientsOf(engine)).to.have.length(1);
      end();
    });
    await settled(engine);
  });

  it('is not given by an engine that is told not to', async () => {
    process.env['CLOUDHSM_LOCAL_TRANSPORT'] = 'socket';
    const other = await TestEngine.start(['--hsms', '1']);
    process.env['CLOUDHSM_LOCAL_TRANSPORT'] = 'memory';
    const child = spawn(nativeProgram('transport_client'), [modulePath, 'forever'], {
      env: { ...other.env, CLOUDHSM_LOCAL_TRANSPORT: 'memory' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(await clientsOf(other)).to.have.length(1);
    expect(holdings(other).memories).to.equal(0);
    child.kill('SIGKILL');
    await other.stop();
  });

  it('lets a call end with its engine, however often signals interrupt it', async () => {
    const other = await TestEngine.start(['--hsms', '1']);
    const { code, lines } = await runProgram(
      nativeProgram('transport_client'),
      [modulePath, 'interrupted'],
      { CLOUDHSM_LOCAL_SOCKET: other.socket },
      (line) => {
        if (line === 'waiting') void pause(100).then(() => other.kill());
        return undefined;
      },
    );
    expect([code, lines]).to.deep.equal([0, ['waiting', '0x30']]);
    await other.stop();
  });
});
