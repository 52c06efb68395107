import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

/** A server that is somebody else's program, in a process of its own, with all that it prints. */
export class Server {
  readonly #child: ChildProcess;
  readonly #news = new EventEmitter();
  #output = '';
  #ended = false;

  constructor(command: string, words: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(command, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        this.#news.emit('news');
      });
    }
    const end = (): void => {
      this.#ended = true;
      this.#news.emit('news');
    };
    this.#child.once('error', (error) => {
      this.#output += error.message;
      end();
    });
    this.#child.once('close', end);
  }

  get running(): boolean {
    return !this.#ended;
  }

  /** What it has printed so far, on both streams. */
  get output(): string {
    return this.#output;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Waits until it has printed `count` matches behind the position `from`: their first groups. */
  async says(pattern: RegExp, { count = 1, from = 0 } = {}): Promise<string[]> {
    for (;;) {
      const matches = [...this.#output.slice(from).matchAll(pattern)].map((match) => match[1] ?? match[0]);
      if (matches.length >= count) return matches;
      if (this.#ended) throw new Error(`it ended before it said ${pattern}:\n${this.#output}`);
      await once(this.#news, 'news');
    }
  }

  /** Waits until it has ended of its own accord. */
  async ends(): Promise<void> {
    while (!this.#ended) await once(this.#news, 'news');
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.#ended) this.#child.kill(signal);
    await this.ends();
  }
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
