import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  buildNative,
  modulePath,
  nativeProgram,
  type Outcome,
  projectRoot,
  runProgram,
} from './build-native.js';
import { FakeEngine, type Handler, sessionsHandler } from './fake-engine.js';

type OnLine = (line: string) => Promise<void> | undefined;

let folder: string;
let socket: string;

/** What carries the frames of the scenes: the module asks for it. */
let transport: 'socket' | 'memory';

const play = (scene: string, onLine?: OnLine, env: Record<string, string> = {}): Promise<Outcome> =>
  runProgram(
    nativeProgram('lifecycle_client'),
    [modulePath, scene],
    { CLOUDHSM_LOCAL_SOCKET: socket, CLOUDHSM_LOCAL_TRANSPORT: transport, ...env },
    onLine,
  );

async function withEngine<T>(engine: FakeEngine, work: () => Promise<T>): Promise<T> {
  await engine.listen(socket);
  try {
    return await work();
  } finally {
    await engine.close();
  }
}

/** An engine in a process of its own, that can be killed as `kill -9` does. */
class EngineProcess {
  #child: ChildProcess | undefined;
  applications = 0;

  start(): Promise<void> {
    rmSync(socket, { force: true });
    const child = spawn(process.execPath, [`${projectRoot}dist/test/native/fake-engine-main.js`, socket], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.applications = 0;
    return new Promise((resolve) => {
      child.stdout!.on('data', (data: Buffer) => {
        const lines = data.toString().split('\n');
        this.applications += lines.filter((line) => line === 'application').length;
        if (lines.includes('ready')) resolve();
      });
    });
  }

  kill(): Promise<void> {
    const child = this.#child!;
    return new Promise((resolve) => {
      child.on('exit', () => resolve());
      child.kill('SIGKILL');
    });
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

for (const carrier of ['socket', 'memory'] as const) {
  describe(`the life of the C module, over ${carrier}`, function () {
    this.timeout(180_000);
    before(() => {
      transport = carrier;
      buildNative();
    });
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'life-'));
      socket = join(folder, 'engine.sock');
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    it('without an engine: CKR_FUNCTION_FAILED and a line with the socket and the command', async () => {
      const { lines, errors } = await play('initialize');
      expect(lines).to.deep.equal(['C_Initialize 0x6']);
      expect(errors).to.have.length(1);
      expect(errors[0]).to.include(socket).and.include("'cloudhsm-local up'");
    });

    it('refused for other tables: the text of the engine in one line', async () => {
      const engine = new FakeEngine(sessionsHandler(), {
        status: 'otherTables',
        text: 'build both anew\n\u001b[1m',
      });
      const { lines, errors } = await withEngine(engine, () => play('initialize'));
      expect(lines).to.deep.equal(['C_Initialize 0x6']);
      expect(errors).to.deep.equal([
        `cloudhsm-local: the engine at ${socket} refused this program: build both anew??[1m`,
      ]);
    });

    it('checks the arguments of C_Initialize and C_Finalize, and first whether it is initialised', async () => {
      const { lines } = await withEngine(new FakeEngine(sessionsHandler()), () => play('arguments'));
      expect(lines).to.deep.equal([
        'C_GetFunctionList(NULL) 0x7',
        'C_GetInfo before 0x190',
        'C_Finalize before 0x190',
        'C_Initialize(some mutexes) 0x7',
        'C_Initialize(reserved) 0x7',
        'C_Initialize 0x0',
        'C_Initialize again 0x191',
        'C_GetInfo(NULL) 0x7',
        'C_Finalize(reserved) 0x7',
        'C_Finalize 0x0',
        'C_Finalize again 0x190',
      ]);
    });

    it('one of 50 threads initialises; 300 share 256 channels of one application (row 2)', async () => {
      const engine = new FakeEngine(sessionsHandler());
      const { lines } = await withEngine(engine, () => play('crowd'));
      expect(lines).to.deep.equal([
        'C_Initialize 1 ok, 49 0x191',
        'sessions 300 ok, 0 0x30',
        'C_Finalize 0x0',
      ]);
      expect(engine.applications).to.equal(1);
      expect(engine.joined).to.be.within(1, carrier === 'memory' ? 15 : 255);
      expect(engine.shared).to.equal(carrier === 'memory' ? engine.joined + 1 : 0);
    });

    it('a forked child is uninitialised, starts afresh, and leaves its parent alone (row 1)', async () => {
      const engine = new FakeEngine(sessionsHandler());
      const { lines } = await withEngine(engine, () => play('fork'));
      expect(lines).to.deep.equal([
        'C_Initialize 0x0',
        'C_OpenSession 0x0',
        'child C_GetSessionInfo 0x190',
        'child C_Finalize 0x190',
        'child C_Initialize 0x0',
        ...lines.filter((line) => /^child descriptors (\+0|-\d)$/.test(line)),
        "child, the parent's session 0xb3",
        'child sessions 32 ok, 0 0x30',
        'child C_Finalize after 0x0',
        "parent's thread 0x0",
        'child ended 0',
        "parent's session 0x0",
        'C_Finalize 0x0',
      ]);
      expect(lines).to.have.length(13);
      expect(engine.applications).to.equal(2);
    });

    it('survives the death of its engine, in mid-call and while idle (row 15)', async () => {
      const engine = new EngineProcess();
      await engine.start();
      let killed = 0;
      let afterKill = 0;
      const { lines, errors, code } = await play('killed', (line) => {
        if (line === 'waiting') {
          void pause(200).then(() => {
            killed = performance.now();
            return engine.kill();
          });
        }
        if (line === 'call under way 0x30') afterKill = performance.now() - killed;
        if (line === 'killed') return Promise.resolve();
        if (line === 'start it again') return engine.start();
        if (line.startsWith('kill it while idle')) {
          return pause(100)
            .then(() => expect(engine.applications).to.equal(1))
            .then(() => engine.kill())
            .then(() => engine.start());
        }
        return undefined;
      });
      await pause(100);
      await engine.kill();
      expect(lines).to.deep.equal([
        'C_Initialize 0x0',
        'C_OpenSession 0x0',
        'waiting',
        'call under way 0x30',
        'killed',
        'its session 0xb3',
        'C_CloseSession 0xb3',
        'C_GetSlotList 0x30',
        'start it again',
        'fresh sessions 16 ok, 0 0x30',
        ...lines.filter((line) => line.startsWith('old session')),
        'C_OpenSession 0x0',
        'kill it while idle, and start it again',
        'fresh sessions 16 ok, 0 0x30',
        'C_Finalize 0x0',
      ]);
      expect(errors).to.deep.equal([]);
      expect(code).to.equal(0);
      expect(afterKill).to.be.below(1000);
      expect(engine.applications, 'threads that reconnect are one application').to.equal(1);
    });

    it('does not hang or crash while engines die, signals come and threads end and begin it', async () => {
      const engine = new EngineProcess();
      await engine.start();
      let over = false;
      const killing = (async () => {
        while (!over) {
          await pause(250);
          await engine.kill();
          await engine.start();
        }
        await engine.kill();
      })();
      const { lines, code } = await play('chaos');
      over = true;
      await killing;
      expect(lines).to.deep.equal(['chaos over, work done']);
      expect(code).to.equal(0);
    });

    it('100 times C_Initialize and C_Finalize with a session open leak no descriptor (row 4)', async () => {
      const engine = new FakeEngine(sessionsHandler());
      const { lines } = await withEngine(engine, () => play('cycle'));
      expect(lines).to.deep.equal(['100 cycles, 0 failures, descriptors +0']);
      expect(engine.applications).to.equal(100);
    });

    it('atexit handlers with the engine gone end in under a second (row 3)', async () => {
      const engine = new EngineProcess();
      await engine.start();
      const { lines, code } = await play('atexit', (line) =>
        line === 'kill it' ? engine.kill() : undefined,
      );
      expect(lines.slice(3)).to.deep.equal([
        'C_CloseSession 0xb3',
        'C_CloseAllSessions 0x30',
        'C_Finalize 0x0',
        'in time',
      ]);
      expect(code).to.equal(0);
    });

    const silent: Handler = (call) => (call.name === 'C_Finalize' ? { rv: 'CKR_OK' } : undefined);
    for (const [who, handler] of [
      ['the engine', sessionsHandler()],
      ['the module, where the engine does not', silent],
    ] as const) {
      it(`C_Finalize ends a blocked C_WaitForSlotEvent: ${who} (row 4)`, async () => {
        const { lines } = await withEngine(new FakeEngine(handler), () =>
          play('blocked', (line) => (line === 'blocked' ? pause(200) : undefined)),
        );
        expect(lines).to.deep.equal([
          'C_Initialize 0x0',
          'blocked',
          'C_WaitForSlotEvent 0x190',
          'C_Finalize 0x0',
          'C_Initialize again 0x0',
          'C_Finalize again 0x0',
        ]);
      });
    }

    it('an answer that is no answer costs one connection, not the sessions', async () => {
      const sessions = sessionsHandler();
      const good = Buffer.from([5, 0, 0, 0, 0x70, 0, 0, 0, 0]);
      const bad = [
        Buffer.from([255, 255, 255, 255, 1, 2]), // larger than any frame
        Buffer.from([5, 0, 0, 0, 0, 0, 0, 0, 1]), // outputs promised and missing
        Buffer.concat([good, Buffer.from([9])]), // more than the frame
        good,
      ];
      const engine = new FakeEngine((call, input, application) =>
        call.name === 'C_GetInfo' ? { rv: 'CKR_OK', raw: bad.shift()! } : sessions(call, input, application),
      );
      const { lines } = await withEngine(engine, () => play('garbled'));
      const answers = ['C_GetInfo 0x30', 'C_GetInfo 0x30', 'C_GetInfo 0x30', 'C_GetInfo 0x70'];
      expect(lines.slice(2)).to.deep.equal([...answers, 'session 0x0', 'C_Finalize 0x0']);
      expect(engine.applications).to.equal(1);
      // In shared memory a connection has other channels yet.
      expect(engine.joined).to.equal(carrier === 'memory' ? 0 : 3);
    });

    it('48 MiB travel, 96 MiB are CKR_DATA_LEN_RANGE', async () => {
      const { lines } = await withEngine(new FakeEngine(sessionsHandler()), () => play('large'));
      const answers = ['48 MiB 0x0', '96 MiB 0x21', 'random 0x0', 'last byte 0x5a', 'C_Finalize 0x0'];
      expect(lines.slice(2)).to.deep.equal(answers);
    });
  });
}
