import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from './engine.js';

/** Commands of a tutorial, and what it says that they print. */
export interface TutorialStep {
  readonly line: number;
  readonly commands: string;
  readonly printed: string | undefined;
}

/** The `sh` blocks of a page, each with the `text` block that follows before the next one. */
export function stepsOf(markdown: string): TutorialStep[] {
  const steps: TutorialStep[] = [];
  for (const { 1: language, 2: body, index } of markdown.matchAll(/^```(sh|text)\n(.*?)^```$/gms)) {
    const line = markdown.slice(0, index).split('\n').length;
    const last = steps.at(-1);
    if (language === 'sh') steps.push({ line, commands: body!, printed: undefined });
    else if (last !== undefined && last.printed === undefined)
      steps.splice(-1, 1, { ...last, printed: body! });
    else throw new Error(`line ${line}: this is the output of no commands`);
  }
  return steps;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** What a `text` block stands for: `…` is anything within a line, and alone on its line any number of lines. */
export function patternOf(printed: string): RegExp {
  const lines = printed
    .trimEnd()
    .split('\n')
    .map((line) =>
      line.trim() === '…' ? '(?:.*\\n)*?' : `${escaped(line.trimEnd()).replaceAll('…', '.*')}[ \\t]*\\n`,
    );
  return new RegExp(`^\\s*${lines.join('')}\\s*$`);
}

/** A shell that keeps its folder and its variables from step to step, and ends at the first command that fails. */
class Shell {
  readonly #child: ChildProcess;
  readonly #news = new EventEmitter();
  readonly #folder = mkdtempSync(join(tmpdir(), 'chl-steps-'));
  #output = '';
  #steps = 0;

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    this.#child = spawn('bash', ['--noprofile', '--norc'], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        this.#news.emit('news');
      });
    this.#child.once('close', () => this.#news.emit('news'));
    this.#child.stdin!.on('error', () => undefined);
    this.#child.stdin!.write('exec 2>&1\nset -eu -o pipefail\n');
  }

  /** What the commands print. Rejects with it when one of them fails. */
  async run(commands: string): Promise<string> {
    const file = join(this.#folder, `${++this.#steps}.sh`);
    writeFileSync(file, commands);
    const end = `--- end of step ${this.#steps} ---`;
    this.#output = '';
    this.#child.stdin!.write(`. '${file}' </dev/null\necho; echo '${end}'\n`);
    while (!this.#output.includes(end)) {
      if (this.#child.exitCode !== null) throw new Error(`a command failed:\n${this.#output}`);
      await once(this.#news, 'news');
    }
    return this.#output.slice(0, this.#output.indexOf(end));
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.stdin!.end('exit 0\n');
      await once(this.#child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Where a tutorial is followed. */
export interface TutorialPlace {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** What somebody would write otherwise whose machine uses the page's ports already. */
  readonly instead?: Readonly<Record<string, string>>;
}

/**
 * Tests that follow a page of docs/tutorials as a reader would: its `sh` blocks run as they are, in their order, in one shell,
 * and print what the page says. `prepare` makes the place, once.
 */
export function followsTutorial(
  page: string,
  prepare: (test: Mocha.Context) => Promise<TutorialPlace>,
): void {
  const steps = stepsOf(readFileSync(join(projectRoot, 'docs', 'tutorials', page), 'utf8'));
  let shell: Shell;
  let edited: (text: string) => string;
  let failed = false;

  before(async function () {
    const { cwd, env, instead = {} } = await prepare(this);
    edited = (text) =>
      Object.entries(instead).reduce((before, [old, other]) => before.replaceAll(old, other), text);
    shell = new Shell(cwd, env);
  });

  after(() => shell?.close());

  for (const { line, commands, printed } of steps) {
    it(`line ${line}: ${commands.split('\n', 1)[0]}`, async function () {
      if (failed) this.skip();
      failed = true;
      const output = await shell.run(edited(commands));
      if (printed !== undefined) expect(output).to.match(patternOf(edited(printed)));
      failed = false;
    });
  }
}
