import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/** Where a tool asks and answers. */
export interface Terminal {
  /** A line, without its end; undefined when there will be no more. */
  ask(prompt: string, options?: AskOptions): Promise<string | undefined>;
  print(text: string): void;
  /** For people, apart from what programs read. */
  complain(text: string): void;
  /** How far long work is; undefined when it is done. */
  progress?(text: string | undefined): void;
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
  #reader: Interface | undefined;
  /** Where questions stand: with the answers of the tool or, where those go to a program and somebody types, beside them. */
  readonly #screen: NodeJS.WritableStream;
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
    private readonly options: { readonly complete?: Completer; readonly remember?: Memory } = {},
  ) {
    const { input, output, errors } = streams;
    this.#screen = input.isTTY === true && output.isTTY !== true ? errors : output;
  }

  /** Nothing is read before something is asked: what a tool does not need is for the script around it. */
  #open(): Interface {
    // What readline echoes goes through here; while a password is typed, nowhere.
    const echo = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#hidden) this.#screen.write(chunk);
        done();
      },
    });
    Object.defineProperty(echo, 'columns', { get: () => (this.#screen as { columns?: number }).columns });
    const { complete, remember = () => true } = this.options;
    const { input } = this.streams;
    const reader = createInterface({
      input,
      output: echo,
      // Whoever types at a terminal must not see passwords, wherever the answers go.
      terminal: input.isTTY === true,
      historySize: 200,
      ...(complete && { completer: complete }),
    });
    reader.on('history', (history: string[]) => {
      if (!this.#remembers || !remember(history[0] ?? '')) history.shift();
    });
    reader.on('line', (line) => this.#take(line));
    reader.on('close', () => {
      this.#closed = true;
      this.#waiting?.(undefined);
    });
    // Ctrl-C gives the line up, as in a shell.
    reader.on('SIGINT', () => {
      this.#screen.write('^C\n');
      if (this.#waiting === undefined) reader.close();
      else {
        reader.write('', { ctrl: true, name: 'u' });
        this.#take('');
      }
    });
    return reader;
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
    const screen = this.#screen;
    const line = this.#lines.shift();
    if (line !== undefined) {
      screen.write(`${prompt}\n`);
      return line;
    }
    if (this.#closed) return undefined;
    this.#reader ??= this.#open();
    const reader = this.#reader;
    this.#remembers = history;
    return new Promise((resolve) => {
      this.#waiting = (answer) => {
        this.#waiting = undefined;
        this.#hidden = false;
        this.#remembers = false;
        if (hidden) screen.write('\n');
        resolve(answer);
      };
      // Whatever comes after the question must find the echo off already.
      this.#hidden = hidden;
      reader.setPrompt(hidden ? '' : prompt);
      reader.prompt();
      if (hidden) screen.write(prompt);
    });
  }

  print(text: string): void {
    this.streams.output.write(`${text}\n`);
  }

  complain(text: string): void {
    this.streams.errors.write(`${text}\n`);
  }

  /** How far long work is, where somebody watches: one line, which the next one replaces and none ends. */
  progress(text: string | undefined): void {
    const errors = this.streams.errors as NodeJS.WritableStream & { isTTY?: boolean };
    if (errors.isTTY === true) errors.write(text === undefined ? '\r\x1b[K' : `\r\x1b[K${text} …`);
  }

  close(): void {
    this.#closed = true;
    this.#reader?.close();
  }
}
