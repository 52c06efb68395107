import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ConfigInput } from '../../src/base/config.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import { binary, cloudhsmLocal, forgetSocket, modulePath, useSocket } from './engine.js';
import type { Prefix } from './namespaces.js';
import type { ToCheck } from './split-check.js';
import type { Worker } from './split-load.js';

/** A process of `cloudhsm-local` that runs until it is ended. */
class Member {
  #child: ChildProcess | undefined;

  constructor(
    private readonly words: readonly string[],
    private readonly prefix: Prefix = [],
  ) {}

  async start(): Promise<void> {
    const [command, ...words] = [...this.prefix, process.execPath, binary, ...this.words];
    const child = spawn(command!, words, {
      env: { ...process.env, OPENSSL_CONF: undefined },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    let complaint = '';
    child.stderr?.on('data', (text) => {
      complaint += text;
    });
    const ready = await Promise.race([
      once(child, 'message').then(() => true),
      once(child, 'exit').then(() => false),
    ]);
    if (!ready) throw new Error(`${this.words.join(' ')} did not start: ${complaint}`);
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}

/** A home whose HSMs are processes of their own, and a client in another home. */
export class SplitCluster {
  readonly home = mkdtempSync(join(tmpdir(), 'chl-'));
  readonly clientHome = mkdtempSync(join(tmpdir(), 'chl-'));
  readonly #hsms = new Map<string, Member>();
  #client: Member | undefined;

  private constructor() {}

  /** `where` says on which host the HSM of an ordinal runs. */
  static async start(
    hsms: number,
    settings: ConfigInput = {},
    where: (ordinal: number) => Prefix = () => [],
  ): Promise<SplitCluster> {
    const split = new SplitCluster();
    const options = ['--home', split.home, '--config', split.#settingsFile(split.home, settings)];
    const made = await cloudhsmLocal(['init', '--hsms', String(hsms), ...options]);
    if (made.code !== 0) throw new Error(made.stderr);
    for (const { id, ordinal } of split.cluster.hsms)
      split.#hsms.set(id, new Member(['hsm', id, ...options], where(ordinal)));
    await Promise.all([...split.#hsms.values()].map((member) => member.start()));
    return split;
  }

  /** Runs an HSM that was added. */
  async startNew(): Promise<string> {
    const id = this.ids.find((one) => !this.#hsms.has(one))!;
    const options = ['--home', this.home, '--config', join(this.home, 'run', 'settings.json')];
    const member = new Member(['hsm', id, ...options]);
    this.#hsms.set(id, member);
    await member.start();
    return id;
  }

  #settingsFile(home: string, settings: ConfigInput): string {
    const file = join(home, 'run', 'settings.json');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(settings));
    return file;
  }

  /** In a home of its own, as on another machine, unless `home` says otherwise. */
  async startClient(settings: ConfigInput = {}, where: Prefix = [], home = this.clientHome): Promise<void> {
    const servers = join(this.home, 'certificates', 'cloudhsm-pkcs11.cfg');
    const options = ['--servers', servers, '--config', this.#settingsFile(home, settings)];
    this.#client = new Member(['client', '--home', home, ...options], where);
    await this.#client.start();
  }

  async endClient(): Promise<void> {
    await this.#client?.end('SIGINT');
  }

  get cluster(): { id: string; hsms: { id: string; ordinal: number }[] } {
    return JSON.parse(readFileSync(join(this.home, 'cluster.json'), 'utf8'));
  }

  get ids(): string[] {
    return this.cluster.hsms.map(({ id }) => id);
  }

  kill(id: string): Promise<void> {
    return this.#hsms.get(id)!.end('SIGKILL');
  }

  pid(id: string): number {
    return this.#hsms.get(id)!.pid;
  }

  restart(id: string): Promise<void> {
    return this.#hsms.get(id)!.start();
  }

  get account(): { name: string; password: string } {
    return JSON.parse(readFileSync(join(this.home, 'credentials.json'), 'utf8')).cryptoUser;
  }

  /** What a program of the client needs. */
  get socket(): string {
    return join(this.clientHome, 'run', 'engine.sock');
  }

  /** Lets this very process load the module against the client, until it is stopped. */
  useInThisProcess(): void {
    useSocket(this.socket);
  }

  get env(): NodeJS.ProcessEnv {
    const { name, password } = this.account;
    return {
      ...process.env,
      CLOUDHSM_LOCAL_SOCKET: this.socket,
      PKCS11_MODULE_PATH: modulePath,
      CLOUDHSM_PIN: `${name}:${password}`,
    };
  }

  identity(name: string): TlsIdentity {
    const pem = (file: string) => readFileSync(join(this.home, 'certificates', file), 'utf8');
    return {
      certificate: pem(`${name}.crt`),
      privateKey: pem(`${name}.key`),
      trustAnchor: pem('customerCA.crt'),
    };
  }

  /** HSMs that every program relies on. */
  async reliedOn(): Promise<string[]> {
    const { clients } = (await this.ask('/status')) as { clients: { hsms: string[] }[] };
    return this.ids.filter((id) => clients.every(({ hsms }) => hsms.includes(id)));
  }

  /** What must be on all HSMs now. */
  async toCheck(workers: readonly Worker[]): Promise<ToCheck> {
    const { hsms } = (await this.ask('/status')).clusters[0] as {
      hsms: { id: string; eniIp: string; port: number }[];
    };
    return {
      hsms: hsms.map(({ id, eniIp, port }) => ({ eniIp, port, identity: this.identity(id) })),
      client: this.identity('client'),
      account: this.account,
      keys: workers.flatMap(({ keys }) => keys),
      destroyed: workers.flatMap(({ destroyed }) => destroyed),
    };
  }

  /** What the control socket of the client, or of one HSM, answers. */
  // biome-ignore lint/suspicious/noExplicitAny: JSON
  ask(path: string, hsmId?: string, method = 'GET'): Promise<any> {
    const socketPath =
      hsmId === undefined
        ? join(this.clientHome, 'run', 'control.sock')
        : join(this.home, 'run', `${hsmId}.sock`);
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath, path, method }, (response) => {
        let body = '';
        response.on('data', (part) => {
          body += part;
        });
        response.on('end', () => resolve(JSON.parse(body)));
      });
      asked.on('error', reject);
      asked.end();
    });
  }

  async stop(): Promise<void> {
    await this.#client?.end('SIGKILL');
    await Promise.all([...this.#hsms.values()].map((member) => member.end('SIGKILL')));
    forgetSocket(this.socket);
    for (const home of [this.home, this.clientHome]) rmSync(home, { recursive: true, force: true });
  }
}
