/* Programs that the benchmark runs, and their end. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const PATIENCE_MS = 120_000;
const END_MS = 10_000;

/** Runs a program to its end. Throws with its complaint when it fails. @returns {Promise<string>} its output */
export function run(command, words, { env, input, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { env: { ...process.env, ...env }, stdio: 'pipe' });
    let output = '';
    let complaint = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.stderr.on('data', (text) => {
      complaint += text;
    });
    if (onLine !== undefined) createInterface({ input: child.stdout }).on('line', onLine);
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) =>
      code === 0 ? resolve(output) : reject(new Error(complaint.trim() || `${command}: ${signal ?? code}`)),
    );
  });
}

/** A process that answers each line with one line of JSON. */
export class Conversation {
  #child;
  #answers = [];
  #waiting = [];
  #complaint = '';
  #closed;

  constructor(command, words, env) {
    this.#child = spawn(command, words, { env: { ...process.env, ...env }, stdio: 'pipe' });
    this.#child.stderr.on('data', (text) => {
      this.#complaint += text;
    });
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take({ line }));
    this.#closed = new Promise((resolve) => {
      const ended = (reason) => {
        this.#take({ failed: this.#complaint.trim() || reason });
        resolve();
      };
      this.#child.on('error', (error) => ended(error.message));
      this.#child.on('close', (code, signal) => ended(`ended with ${signal ?? code}`));
    });
  }

  #take(answer) {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#answers.push(answer);
    else waiting(answer);
  }

  /** The next line. Throws with the process's complaint if it has ended; one that says nothing is ended. */
  async next(patienceMs = PATIENCE_MS) {
    const timer = setTimeout(() => {
      this.#complaint ||= `no answer within ${patienceMs / 1000} s`;
      this.#child.kill('SIGKILL');
    }, patienceMs);
    const answer = this.#answers.shift() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
    clearTimeout(timer);
    if (answer.failed !== undefined) throw new Error(answer.failed);
    return JSON.parse(answer.line);
  }

  ask(line, patienceMs) {
    this.#child.stdin.write(`${line}\n`);
    return this.next(patienceMs);
  }

  /** Lets it end; it may still be giving things back. */
  async end() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS);
    await this.#closed;
    clearTimeout(timer);
  }
}
