/** What is going on: one line that is written over on a terminal, and a line for each row elsewhere. */
export class Progress {
  #terminal = process.stderr.isTTY === true;
  #started = Date.now();
  #title = '';

  /** A new row. */
  begin(title) {
    this.#title = title;
    if (this.#terminal) this.step('');
    else process.stderr.write(`${this.#clock()} ${title}\n`);
  }

  step(text) {
    if (!this.#terminal) return;
    const line = `${this.#clock()} ${this.#title}  ${text}`;
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
  }

  /** A line of the result, which stays. */
  print(text) {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
    process.stdout.write(`${text}\n`);
  }

  #clock() {
    const seconds = Math.floor((Date.now() - this.#started) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}
