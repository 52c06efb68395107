import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { TestEngine } from '../support/engine.js';
import { plainBuild, runProgram, sanitizedBuild } from './build-native.js';
import { echo } from './echo-handler.js';
import { FakeEngine, invertingHandler, sessionsHandler } from './fake-engine.js';

const valgrind = [
  '/usr/bin/env',
  'valgrind',
  '--quiet',
  '--error-exitcode=97',
  '--leak-check=full',
  '--errors-for-leak-kinds=definite',
];

/** `fast`: what would take valgrind, which is twenty times as slow as ASan, too long. */
type Scene = readonly [client: string, scene: string, only?: 'fast'];

/** Scenes of the C programs that end by themselves. That they answer what they should is judged by the tests of each. */
const withFakeEngine: readonly Scene[] = [
  ['lifecycle_client', 'arguments'],
  ['lifecycle_client', 'cycle'],
  ['lifecycle_client', 'crowd', 'fast'],
  ['transport_client', 'sizes', 'fast'],
  // A child leaves alone what a thread of its parent may have been working at: valgrind would call that lost.
  ['lifecycle_client', 'fork', 'fast'],
];
const withEngine: readonly Scene[] = [
  ['behaviour_client', 'attributes'],
  ['behaviour_client', 'find-null'],
  ['behaviour_client', 'gcm'],
  ['behaviour_client', 'gcm-refused'],
  ['behaviour_client', 'cancel'],
  ['behaviour_client', 'lengths'],
  ['behaviour_client', 'parts'],
  ['behaviour_client', 'refused'],
  ['behaviour_client', 'unsupported'],
  ['behaviour_client', 'null'],
  ['behaviour_client', 'wrap'],
  ['behaviour_client', 'nested'],
  ['behaviour_client', 'open'],
  ['behaviour_client', 'logins', 'fast'],
  ['behaviour_client', 'close', 'fast'],
  ['behaviour_client', 'sizes', 'fast'],
  ['behaviour_client', 'mixed', 'fast'],
];

describe('the module and the programs that use it make no error with memory', function () {
  this.timeout(300_000);
  let folder: string;
  let engine: TestEngine | undefined;
  const fakes: FakeEngine[] = [];
  const socketOf = (name: string): string => join(folder, `${name}.sock`);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'memory-'));
    const echoing = new FakeEngine(echo);
    const inverting = new FakeEngine(invertingHandler(sessionsHandler()));
    fakes.push(echoing, inverting);
    await echoing.listen(socketOf('echo'));
    await inverting.listen(socketOf('inverting'));
    engine = await TestEngine.start();
  });
  after(async () => {
    for (const fake of fakes) await fake.close();
    await engine?.stop();
    rmSync(folder, { recursive: true });
  });

  for (const transport of ['socket', 'memory'] as const) {
    for (const [checker, build, before] of [
      ['valgrind', plainBuild, valgrind],
      ['ASan and UBSan', sanitizedBuild, []],
    ] as const) {
      it(`that ${checker} would find, over ${transport}`, async function () {
        if (checker === 'valgrind') needsClient(this, 'valgrind', 'valgrind');
        build.build();
        const play = async (client: string, scene: string[], env: Record<string, string>): Promise<void> => {
          const [program, ...words] = [...before, build.program(client), build.modulePath, ...scene];
          const { code, lines, errors } = await runProgram(program!, words, {
            ...env,
            PATH: process.env['PATH']!,
            CLOUDHSM_LOCAL_TRANSPORT: transport,
          });
          const clean = { code: 0, errors: [] };
          expect({ code, errors }, `${client} ${scene}: ${lines.join('\n')}`).to.deep.equal(clean);
        };
        const playAll = async (scenes: readonly Scene[], env: Record<string, string>): Promise<void> => {
          for (const [client, scene, only] of scenes)
            if (only !== 'fast' || checker !== 'valgrind') await play(client, [scene], env);
        };
        // Every function, with every kind of argument.
        await play('echo_client', [], { CLOUDHSM_LOCAL_SOCKET: socketOf('echo') });
        await playAll(withFakeEngine, { CLOUDHSM_LOCAL_SOCKET: socketOf('inverting') });
        if (transport === 'socket' && checker === 'valgrind') return;
        await playAll(withEngine, { CLOUDHSM_LOCAL_SOCKET: engine!.socket, CLOUDHSM_PIN: engine!.pin });
      });
    }
  }
});
