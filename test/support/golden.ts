import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { AskOptions, Terminal } from '../../src/tools/terminal.js';
import { projectRoot } from './engine.js';

/*
 * A golden file is what somebody sees who works with a tool. Each line says where it comes from: a section of the tools reference,
 * or `ours`. Behind it stands what the line is:
 *
 *   4.3  | createUser success on server 0(10.0.0.1)      printed
 *   4.1  > aws-cloudhsm>«listUsers»                      a question, and what is typed
 *   ours ! sign officer1                                 something that happens meanwhile, outside the tool
 *
 * {name} stands for a value that the test knows. `REWRITE_GOLDEN=1` writes what was printed; lines that were not there are
 * marked `????` then, which the test does not let pass.
 */

export interface GoldenWorld {
  /** By name, without braces. */
  readonly values: Readonly<Record<string, string>>;
  /** What differs from run to run and nobody types. */
  readonly patterns?: readonly (readonly [RegExp, string])[];
  happen?(what: string): Promise<void>;
}

interface Line {
  /** The place of its file among those that are played one behind the other. */
  readonly file: number;
  readonly source: string;
  readonly kind: '|' | '>' | '!';
  readonly text: string;
}

const SOURCE = /^(\d+(\.\d+)?|ours)$/;
const rewrites = process.env['REWRITE_GOLDEN'] === '1';

function parse(file: string, at: number): { comments: string[]; lines: Line[] } {
  const all = readFileSync(file, 'utf8').trimEnd().split('\n');
  const comments = all.filter((line) => line.startsWith('#'));
  const lines = all
    .filter((line) => !line.startsWith('#'))
    .map((line): Line => {
      const [, source, kind, text] = /^(\S+) +([|>!]) ?(.*)$/.exec(line) ?? [];
      if (source === undefined) throw new Error(`${file}: ${line}`);
      return { file: at, source, kind: kind as Line['kind'], text: text! };
    });
  return { comments, lines };
}

class GoldenTerminal implements Terminal {
  readonly played: Omit<Line, 'source'>[] = [];
  readonly complaints: string[] = [];
  #steps: Line[];
  #file = 0;

  constructor(
    lines: readonly Line[],
    private readonly world: GoldenWorld,
  ) {
    this.#steps = lines.filter(({ kind }) => kind !== '|');
  }

  #named(text: string): string {
    let named = text;
    for (const [name, value] of Object.entries(this.world.values))
      named = named.replaceAll(value, `{${name}}`);
    for (const [pattern, name] of this.world.patterns ?? []) named = named.replace(pattern, `{${name}}`);
    return named;
  }

  #valued(text: string): string {
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => this.world.values[name] ?? whole);
  }

  #play(kind: Line['kind'], text: string): void {
    this.played.push({ file: this.#file, kind, text });
  }

  async ask(prompt: string, _options?: AskOptions): Promise<string | undefined> {
    while (this.#steps[0]?.kind === '!') {
      const { file, text } = this.#steps.shift()!;
      this.#file = file;
      this.played.push({ file, kind: '!', text });
      await this.world.happen?.(text);
    }
    const step = this.#steps.shift();
    this.#file = step?.file ?? this.#file;
    const lines = this.#named(prompt).split('\n');
    const last = lines.pop()!;
    for (const line of lines) this.#play('|', line.trimEnd());
    if (step === undefined) {
      this.#play('|', last.trimEnd());
      return undefined;
    }
    const typed = /«(.*)»$/.exec(step.text)?.[1] ?? '';
    this.#play('>', `${last}«${typed}»`);
    return this.#valued(typed);
  }

  print(text: string): void {
    for (const line of this.#named(text).split('\n')) this.#play('|', line.trimEnd());
  }

  complain(text: string): void {
    this.complaints.push(text);
  }

  close(): void {}
}

const textOf = ({ kind, text }: Pick<Line, 'kind' | 'text'>): string => `${kind} ${text}`.trimEnd();

/** Plays a golden file to a tool and compares what it prints, but for spaces at the end of lines. Answers what it complained of. */
export const playGolden = (
  name: string,
  world: GoldenWorld,
  run: (terminal: Terminal) => Promise<void>,
): Promise<readonly string[]> => playGoldens([name], world, run);

/** The same with several files, which are one session. */
export async function playGoldens(
  names: readonly string[],
  world: GoldenWorld,
  run: (terminal: Terminal) => Promise<void>,
): Promise<readonly string[]> {
  const files = names.map((name, at) => {
    const path = join(projectRoot, 'test/tools', `${name}.txt`);
    return { name, path, ...parse(path, at) };
  });
  const terminal = new GoldenTerminal(
    files.flatMap(({ lines }) => lines),
    world,
  );
  await run(terminal);
  for (const [at, { name, path, comments, lines }] of files.entries()) {
    const played = terminal.played.filter(({ file }) => file === at);
    if (rewrites) {
      writeFileSync(path, `${[...comments, ...rewritten(lines, played)].join('\n')}\n`);
      continue;
    }
    expect(played.map(textOf).join('\n'), name).to.equal(lines.map(textOf).join('\n'));
    const unsourced = lines.filter(({ source }) => !SOURCE.test(source));
    expect(unsourced, `${name}: lines that say not where they come from`).to.deep.equal([]);
  }
  return terminal.complaints;
}

function rewritten(lines: readonly Line[], played: readonly Omit<Line, 'source'>[]): string[] {
  const known = [...lines];
  return played.map((line) => {
    const at = known.findIndex((old) => textOf(old) === textOf(line));
    const source = at < 0 ? '????' : known.splice(at, 1)[0]!.source;
    return `${source.padEnd(4)} ${textOf(line)}`;
  });
}
