import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectRoot } from '../build.mjs';
import { run } from '../processes.mjs';

const binary = join(projectRoot, 'bin', 'cloudhsm-local.mjs');
const module = join(projectRoot, 'build', 'pkcs11', 'libcloudhsm_pkcs11.so');

/** An engine as a user runs it: `up --detach` on a home of its own. */
export class Engine {
  #config;

  constructor(home) {
    this.home = home;
    this.#config = `${home}.json`;
    mkdirSync(dirname(home), { recursive: true });
    // More keys than a CloudHSM holds.
    writeFileSync(this.#config, JSON.stringify({ keyQuota: 1_000_000 }));
  }

  get config() {
    return this.#config;
  }

  /** @returns {Promise<number>} the seconds that `up --detach` took */
  async up() {
    const started = performance.now();
    await this.#command('up', '--detach', '--config', this.#config);
    return (performance.now() - started) / 1000;
  }

  async down() {
    await this.#command('down');
  }

  async status() {
    return JSON.parse(await this.#command('status', '--json'));
  }

  /** Resident memory in KiB: all of it, and what is the engine's own rather than pages of mapped files. */
  async memory() {
    const { pid } = await this.status();
    const facts = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(facts)[1]);
    return { residentKiB: field('VmRSS'), ownKiB: field('RssAnon') };
  }

  get env() {
    const { cryptoUser } = JSON.parse(readFileSync(join(this.home, 'credentials.json'), 'utf8'));
    return {
      CLOUDHSM_LOCAL_SOCKET: join(this.home, 'run', 'engine.sock'),
      BENCH_PIN: `${cryptoUser.name}:${cryptoUser.password}`,
    };
  }

  #command(name, ...words) {
    return run(process.execPath, [binary, name, '--home', this.home, ...words]);
  }
}

/** @returns {Promise<import('./target.mjs').Target & {engine: Engine}>} */
export async function startCloudhsmLocal(folder) {
  const engine = new Engine(join(folder, 'home'));
  await engine.up();
  return {
    name: 'cloudhsm-local',
    title: 'cloudhsm-local',
    module,
    env: engine.env,
    maxTokenKeys: Number.POSITIVE_INFINITY,
    stop: () => engine.down(),
    engine,
  };
}
