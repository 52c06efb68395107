import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/** Where a tool asks and answers. */
export interface Terminal {
  /** A line, without its end; undefined when there will be no more. */
  ask(prompt: string, options?: AskOptions): Promise<string | undefined>;
  print(text: string): void;
  /** For people, apart from what programs read. */
  complain(text: string): void;
  close(): void;
}

export interface AskOptions {
  /** Neither shown nor remembered: passwords. */
  readonly hidden?: boolean;
  /** The line is a command, which the arrow keys bring back. */
  readonly history?: boolean;
}

/** What a tab offers for a line: the words, and what of the line they replace. */
export type Completer = (line: string) => [string[], string];

export interface TerminalStreams {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly errors: NodeJS.WritableStream;
}

/** Whether a line may be remembered. */
export type Memory = (line: string) => boolean;

/** A terminal, or files and pipes in its place: lines that come before they are asked for wait their turn. */
export class StreamTerminal implements Terminal {
  readonly #interface: Interface;
  readonly #lines: string[] = [];
  #waiting: ((line: string | undefined) => void) | undefined;
  #closed = false;
  #hidden = false;
  #remembers = false;

  constructor(
    private readonly streams: TerminalStreams = {
      input: process.stdin,
      output: process.stdout,
      errors: process.stderr,
    },
    options: { readonly complete?: Completer; readonly remember?: Memory } = {},
  ) {
    const { input, output } = streams;
    // What readline echoes goes through here; while a password is typed, nowhere.
    const echo = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#hidden) output.write(chunk);
        done();
      },
    });
    const { complete, remember = () => true } = options;
    this.#interface = createInterface({
      input,
      output: echo,
      terminal: input.isTTY === true && output.isTTY === true,
      historySize: 200,
      ...(complete && { completer: complete }),
    });
    this.#interface.on('history', (history: string[]) => {
      if (!this.#remembers || !remember(history[0] ?? '')) history.shift();
    });
    this.#interface.on('line', (line) => this.#take(line));
    this.#interface.on('close', () => {
      this.#closed = true;
      this.#waiting?.(undefined);
    });
    // Ctrl-C gives the line up, as in a shell.
    this.#interface.on('SIGINT', () => {
      output.write('^C\n');
      if (this.#waiting === undefined) this.#interface.close();
      else {
        this.#interface.write('', { ctrl: true, name: 'u' });
        this.#take('');
      }
    });
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    if (waiting === undefined) this.#lines.push(line);
    else waiting(line);
  }

  async ask(
    prompt: string,
    { hidden = false, history = false }: AskOptions = {},
  ): Promise<string | undefined> {
    if (this.#closed && this.#lines.length === 0) return undefined;
    const { output } = this.streams;
    const line = this.#lines.shift();
    if (line !== undefined) {
      output.write(`${prompt}\n`);
      return line;
    }
    this.#remembers = history;
    return new Promise((resolve) => {
      this.#waiting = (answer) => {
        this.#waiting = undefined;
        this.#hidden = false;
        this.#remembers = false;
        if (hidden) output.write('\n');
        resolve(answer);
      };
      // Whatever comes after the question must find the echo off already.
      this.#hidden = hidden;
      this.#interface.setPrompt(hidden ? '' : prompt);
      this.#interface.prompt();
      if (hidden) output.write(prompt);
    });
  }

  print(text: string): void {
    this.streams.output.write(`${text}\n`);
  }

  complain(text: string): void {
    this.streams.errors.write(`${text}\n`);
  }

  close(): void {
    this.#interface.close();
  }
}
