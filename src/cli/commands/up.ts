import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, type ConfigInput, loadConfig } from '../../base/config.js';
import { asCommandFailure, commandFailure, describeError, Failure } from '../../base/errors.js';
import { prepareClusterKey } from '../../control-plane/identity/cluster-key.js';
import { askEngine } from '../control.js';
import type { Home } from '../home.js';
import { root } from '../installation.js';
import { readyPage } from '../ready-page.js';
import { type StartMessage, sayReady, tellParent, untilStopped } from '../run.js';
import type { EngineStatus } from '../status.js';
import { progressLine } from '../terminal.js';

export interface UpOptions {
  readonly hsms?: string;
  readonly profile?: Config['profile'];
  readonly config?: string;
  readonly detach?: boolean;
}

const binary = join(root, 'bin', 'cloudhsm-local.mjs');

/** The settings that the user stated on the command line. */
function overridesOf({ hsms, profile }: UpOptions): ConfigInput {
  return { ...(hsms !== undefined && { hsms: Number(hsms) }), ...(profile !== undefined && { profile }) };
}

export async function upCommand(home: Home, options: UpOptions): Promise<void> {
  if (options.detach) await startDetached(home, options);
  else await runEngine(home, options);
}

async function runEngine(home: Home, options: UpOptions): Promise<void> {
  const progress = progressLine();
  try {
    const { config, stated } = loadConfig(options.config, overridesOf(options));
    // What a new cluster needs is looked for while the engine is loaded.
    if (!existsSync(home.clusterFile)) prepareClusterKey();
    const { startEngine } = await import('../engine.js');
    const engine = await startEngine(home, config, stated, progress.step);
    progress.done();
    await untilStopped(engine, () => sayReady(async () => readyPage(home, await engine.status())));
  } catch (thrown) {
    progress.done();
    const error = asCommandFailure(thrown);
    if (process.send === undefined) throw error;
    const code = error instanceof Failure ? error.code : '';
    await tellParent({ failed: { code, message: describeError(error) } });
    process.exit(1);
  }
}

/** Starts the engine in a process of its own and waits for its word. Throws what the engine failed with. */
async function startDetached(home: Home, { hsms, profile, config }: UpOptions): Promise<void> {
  const words = ['up', '--home', home.directory];
  if (hsms !== undefined) words.push('--hsms', hsms);
  if (profile !== undefined) words.push('--profile', profile);
  if (config !== undefined) words.push('--config', config);
  const { OPENSSL_CONF: _, ...env } = process.env;
  const engine = spawn(process.execPath, [binary, ...words], {
    detached: true,
    env,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const message = await new Promise<StartMessage>((resolve) => {
    engine.once('message', (said) => resolve(said as StartMessage));
    engine.once('error', (error) => resolve({ failed: { code: 'START_FAILED', message: error.message } }));
    engine.once('exit', (code, signal) => {
      const message = `the engine ended with ${signal ?? `status ${code}`} before it was ready: see ${home.logFile}`;
      resolve({ failed: { code: 'START_FAILED', message } });
    });
  });
  if ('failed' in message) {
    const { code, message: text } = message.failed;
    throw code === '' ? commandFailure('START_FAILED', text) : new Failure(code, text);
  }
  if (engine.connected) engine.disconnect();
  engine.unref();
  console.log(readyPage(home, await askEngine<EngineStatus>(home, 'GET', '/status')));
}
