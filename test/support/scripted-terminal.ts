import type { Terminal } from '../../src/tools/terminal.js';

/** Types lines at a tool's prompt, answers its other questions, and keeps everything that is printed. */
export class ScriptedTerminal implements Terminal {
  readonly printed: string[] = [];
  readonly #lines: string[];

  constructor(
    lines: readonly string[],
    /** Undefined for the tool's prompt. */
    private readonly answer: (question: string) => string | undefined,
  ) {
    this.#lines = [...lines];
  }

  async ask(prompt: string): Promise<string | undefined> {
    this.printed.push(prompt);
    return this.answer(prompt) ?? this.#lines.shift();
  }

  print(text: string): void {
    this.printed.push(text);
  }

  complain(text: string): void {
    this.printed.push(text);
  }

  close(): void {}
}
