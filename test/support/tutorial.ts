import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from './clients.js';
import { binary, cloudhsmLocal, projectRoot } from './engine.js';

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

/** A checkout as its users see it: in a folder of its own, with a home of its own, and `npx cloudhsm-local`. */
class Checkout {
  readonly folder = mkdtempSync(join(tmpdir(), 'chl-tutorial-'));
  readonly #home = join(this.folder, 'home');

  constructor() {
    symlinkSync(join(projectRoot, 'node_modules'), join(this.folder, 'node_modules'));
    const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${binary}" "$@"\n`;
    writeFileSync(join(this.folder, 'npx'), npx, { mode: 0o755 });
  }

  get env(): NodeJS.ProcessEnv {
    const PATH = `${this.folder}:${process.env['PATH']}:/usr/sbin`;
    return { ...process.env, PATH, CLOUDHSM_LOCAL_HOME: this.#home };
  }

  async remove(): Promise<void> {
    await cloudhsmLocal(['down', '--home', this.#home]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** How this machine differs from the reader's. */
export interface TutorialOptions {
  /** Programs that the page needs, with their Debian packages. */
  readonly needs: readonly (readonly [program: string, debianPackage: string])[];
  /** What somebody would write otherwise whose machine uses the page's ports already. */
  readonly instead?: () => Promise<Readonly<Record<string, string>>>;
  /** Ends what a page that failed half way has left. */
  readonly tidyUp?: (folder: string) => void;
}

/**
 * Tests that follow a page of docs/tutorials as a reader would: its `sh` blocks run as they are, in their order, in one shell,
 * and print what the page says.
 */
export function followsTutorial(page: string, { needs, instead, tidyUp }: TutorialOptions): void {
  const steps = stepsOf(readFileSync(join(projectRoot, 'docs', 'tutorials', page), 'utf8'));
  let checkout: Checkout | undefined;
  let shell: Shell | undefined;
  let edited: (text: string) => string;
  let failed = false;

  before(async function () {
    for (const [program, debianPackage] of needs) needsClient(this, program, debianPackage);
    const edits = Object.entries((await instead?.()) ?? {});
    edited = (text) => edits.reduce((before, [old, other]) => before.replaceAll(old, other), text);
    checkout = new Checkout();
    shell = new Shell(checkout.folder, checkout.env);
  });

  after(async () => {
    await shell?.close();
    if (checkout !== undefined) tidyUp?.(checkout.folder);
    await checkout?.remove();
  });

  for (const { line, commands, printed } of steps) {
    it(`line ${line}: ${commands.split('\n', 1)[0]}`, async function () {
      if (failed) this.skip();
      failed = true;
      const output = await shell!.run(edited(commands));
      if (printed !== undefined) expect(output).to.match(patternOf(edited(printed)));
      failed = false;
    });
  }
}
