import { type ChildProcess, type ExecFileOptions, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConfigInput } from '../../src/base/config.js';

/** The project's root, from dist/test/support. */
export const projectRoot = fileURLToPath(new URL('../../../', import.meta.url));
export const binary = join(projectRoot, 'bin', 'cloudhsm-local.mjs');
export const modulePath = join(projectRoot, 'build', 'pkcs11', 'libcloudhsm_pkcs11.so');
export const confFolder = join(projectRoot, 'conf');

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Never rejects for a status: the caller looks at `code`. */
export function run(
  command: string,
  words: readonly string[],
  options: ExecFileOptions & { input?: string } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    const { input, ...rest } = options;
    const child = execFile(
      command,
      words,
      { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, timeout: 120_000, ...rest },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout: String(stdout), stderr: String(stderr) });
      },
    );
    // A program may end before it has read its input.
    child.stdin?.on('error', () => undefined).end(input);
  });
}

export function cloudhsmLocal(words: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ran> {
  return run(process.execPath, [binary, ...words], { env: { ...process.env, ...env } });
}

/** Engines that have not ended: none outlives the tests. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** An engine in a process of its own, on a home of its own, as a user runs it. */
export class TestEngine {
  #child: ChildProcess | undefined;

  private constructor(
    readonly home: string,
    private readonly options: readonly string[],
  ) {}

  /** Starts an engine on a new home. `options` go to `cloudhsm-local up`. */
  static async start(options: readonly string[] = [], home?: string): Promise<TestEngine> {
    // Short: a socket's path has 107 bytes.
    const engine = new TestEngine(home ?? mkdtempSync(join(tmpdir(), 'chl-')), options);
    await engine.restart();
    return engine;
  }

  /** Starts an engine on a new home with settings that have no option of their own. */
  static async startWith(settings: ConfigInput): Promise<TestEngine> {
    const home = mkdtempSync(join(tmpdir(), 'chl-'));
    const file = join(home, 'settings.json');
    writeFileSync(file, JSON.stringify(settings));
    return TestEngine.start(['--config', file], home);
  }

  /** Starts it again after `kill` or `stop`, with all it had kept. */
  async restart(): Promise<void> {
    const child = spawn(process.execPath, [binary, 'up', '--home', this.home, ...this.options], {
      // Of the machine's OpenSSL configuration nothing may depend.
      env: { ...process.env, OPENSSL_CONF: undefined },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    let complaint = '';
    child.stderr?.on('data', (text) => {
      complaint += text;
    });
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => [{ failed: { message: complaint } }]),
    ])) as [{ ready?: true; failed?: { message: string } }];
    if (message.ready !== true) throw new Error(`the engine did not start: ${message.failed?.message}`);
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  get credentials(): {
    admin: { name: string; password: string };
    cryptoUser: { name: string; password: string };
  } {
    return JSON.parse(readFileSync(join(this.home, 'credentials.json'), 'utf8'));
  }

  /** What C_Login takes for the crypto user. */
  get pin(): string {
    const { name, password } = this.credentials.cryptoUser;
    return `${name}:${password}`;
  }

  get socket(): string {
    return join(this.home, 'run', 'engine.sock');
  }

  get log(): string {
    return readFileSync(join(this.home, 'logs', 'engine.log'), 'utf8');
  }

  /** What a command on its home prints, which must succeed. */
  async succeeds(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await cloudhsmLocal([...words, '--home', this.home]);
    if (code !== 0) throw new Error(`cloudhsm-local ${words.join(' ')} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** The sums of its metrics that match. */
  async counted(...patterns: string[]): Promise<number[]> {
    const page = await this.succeeds('metrics');
    return patterns.map((pattern) =>
      [...page.matchAll(new RegExp(`^${pattern} (\\d+)$`, 'gm'))].reduce(
        (sum, [, value]) => sum + Number(value),
        0,
      ),
    );
  }

  /** The HSMs of its first cluster. */
  async hsms(): Promise<{ id: string; state: string }[]> {
    return JSON.parse(await this.succeeds('status', '--json')).clusters[0].hsms;
  }

  /** The environment that `cloudhsm-local env` gives a program. */
  get env(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      CLOUDHSM_LOCAL_HOME: this.home,
      CLOUDHSM_LOCAL_SOCKET: this.socket,
      PKCS11_MODULE_PATH: modulePath,
      CLOUDHSM_PIN: this.pin,
    };
  }

  /** Runs a program against this engine. */
  run(command: string, words: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<Ran> {
    return run(command, words, { ...options, env: { ...this.env, ...options.env } });
  }

  /** Lets this very process load the module against this engine, until it is stopped. One engine at a time. */
  useInThisProcess(): void {
    useSocket(this.socket);
  }

  /** kill -9: nothing is tidied up. */
  async kill(): Promise<void> {
    const gone = once(this.#child!, 'exit');
    this.#child!.kill('SIGKILL');
    await gone;
  }

  /** Ends the engine as Ctrl-C does, and removes its home. */
  async stop(): Promise<void> {
    const child = this.#child!;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGINT');
      await gone;
    }
    forgetSocket(this.socket);
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Modules that this very process loads, and programs that it starts, find the engine there. */
export function useSocket(socket: string): void {
  process.env['CLOUDHSM_LOCAL_SOCKET'] = socket;
}

/** The next test file, which may run in this process, finds its own. */
export function forgetSocket(socket: string): void {
  if (process.env['CLOUDHSM_LOCAL_SOCKET'] === socket) delete process.env['CLOUDHSM_LOCAL_SOCKET'];
}
