import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { run } from './engine.js';

/** Words to put before a command so that it runs in a network of its own. */
export type Prefix = readonly string[];

interface Host {
  readonly holder: ChildProcess;
  readonly address: string;
}

const asRoot = process.getuid?.() === 0;

/** Whether this user may make network namespaces here, or why not. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  for (const command of ['ip', 'nsenter', 'unshare']) {
    if ((await run(command, ['--version'])).code !== 0 && (await run(command, ['-V'])).code !== 0)
      return `there is no ${command}`;
  }
  const words = [
    ...(asRoot ? [] : ['--user', '--map-root-user']),
    '--net',
    'ip',
    'link',
    'add',
    'type',
    'veth',
  ];
  const { code, stderr } = await run('unshare', words);
  return code === 0 ? undefined : `no network namespace can be made: ${stderr.trim()}`;
}

/**
 * Hosts in network namespaces of their own, all of them on one switch. What is sent between two of them can be dropped without a
 * word, as a network does that is cut somewhere.
 */
export class Namespaces {
  readonly #hosts = new Map<string, Host>();
  #switch: ChildProcess | undefined;

  /** @param network the first three numbers of the addresses */
  constructor(private readonly network: string) {}

  /** Words that run a command where a process is. */
  #at(holder: ChildProcess): string[] {
    const user = asRoot ? [] : ['--user', '--preserve-credentials'];
    return ['nsenter', '--target', String(holder.pid), ...user, '--net'];
  }

  async #run(holder: ChildProcess, ...words: string[]): Promise<void> {
    const [command, ...rest] = [...this.#at(holder), ...words];
    const { code, stderr } = await run(command!, rest);
    if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
  }

  /** A process that does nothing but be in a new namespace, until its stdin ends. */
  async #hold(prefix: Prefix, options: readonly string[]): Promise<ChildProcess> {
    const [command, ...words] = [...prefix, 'unshare', ...options, '--net', 'sh', '-c', 'echo; exec cat'];
    const child = spawn(command!, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout!, 'data');
    return child;
  }

  /** Adds a host with the last number of its address. */
  async add(name: string, number: number): Promise<void> {
    if (this.#switch === undefined) {
      this.#switch = await this.#hold([], asRoot ? [] : ['--user', '--map-root-user']);
      await this.#run(this.#switch, 'ip', 'link', 'add', 'br0', 'type', 'bridge');
      await this.#run(this.#switch, 'ip', 'link', 'set', 'br0', 'up');
    }
    const holder = await this.#hold(asRoot ? [] : this.#at(this.#switch), []);
    const address = `${this.network}.${number}`;
    const port = `port${number}`;
    const peer = ['peer', 'name', 'eth0', 'netns', String(holder.pid)];
    await this.#run(this.#switch, 'ip', 'link', 'add', port, 'type', 'veth', ...peer);
    await this.#run(this.#switch, 'ip', 'link', 'set', port, 'master', 'br0', 'up');
    await this.#run(holder, 'ip', 'link', 'set', 'lo', 'up');
    await this.#run(holder, 'ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
    await this.#run(holder, 'ip', 'link', 'set', 'eth0', 'up');
    this.#hosts.set(name, { holder, address });
  }

  /** Words that run a command on a host. */
  on(name: string): Prefix {
    return this.#at(this.#hosts.get(name)!.holder);
  }

  async #route(what: 'add' | 'del', one: string, other: string): Promise<void> {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const { address } = this.#hosts.get(to)!;
      await this.#run(this.#hosts.get(from)!.holder, 'ip', 'route', what, 'blackhole', `${address}/32`);
    }
  }

  cut(one: string, other: string): Promise<void> {
    return this.#route('add', one, other);
  }

  join(one: string, other: string): Promise<void> {
    return this.#route('del', one, other);
  }

  /** All of it goes with its processes. */
  close(): void {
    for (const { holder } of this.#hosts.values()) holder.stdin!.end();
    this.#switch?.stdin?.end();
  }
}
