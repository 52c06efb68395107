import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import type { LogInterval } from './client-config.js';

/** Where whole lines go. It never throws: a full disk costs lines, not the caller. */
export interface LineSink {
  write(lines: string): void;
  close(): void;
}

export const noSink: LineSink = { write: () => undefined, close: () => undefined };

/** The engine's own stderr. */
export const stderrSink: LineSink = {
  write: (lines) => {
    try {
      writeSync(2, lines);
    } catch {
      // Nobody reads it.
    }
  },
  close: () => undefined,
};

/** A span of time whose lines share a file: what is appended to its name when it is over, and when that is. */
interface Period {
  readonly suffix: string;
  readonly endMs: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** "rotated files get `.YYYY-MM-DD` appended" (reference section 1), in UTC as the lines are. The hour's form, and that a
 * week begins on a Monday and is named after it, are not public [guess]. */
function periodOf(timeMs: number, interval: LogInterval): Period {
  const day = timeMs - (timeMs % DAY_MS);
  const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  switch (interval) {
    case 'never':
      return { suffix: '', endMs: Number.POSITIVE_INFINITY };
    case 'hourly': {
      const hour = timeMs - (timeMs % HOUR_MS);
      return { suffix: new Date(hour).toISOString().slice(0, 13).replace('T', '-'), endMs: hour + HOUR_MS };
    }
    case 'daily':
      return { suffix: dateOf(day), endMs: day + DAY_MS };
    case 'weekly': {
      // The epoch was a Thursday.
      const monday = day - ((day / DAY_MS + 3) % 7) * DAY_MS;
      return { suffix: dateOf(monday), endMs: monday + 7 * DAY_MS };
    }
  }
}

class RotatingFile {
  #file: number;
  #period: Period;
  users = 0;

  constructor(
    private readonly path: string,
    private readonly interval: LogInterval,
    private readonly now: () => number,
  ) {
    this.#file = this.#open();
    const { size, mtimeMs } = fstatSync(this.#file);
    // Lines of an earlier engine may be over already.
    this.#period = periodOf(size > 0 ? mtimeMs : now(), interval);
  }

  #open(): number {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
    const file = openSync(this.path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o600);
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
    throw new Error(`${this.path} is no regular file`);
  }

  write(lines: string): void {
    try {
      if (this.now() >= this.#period.endMs) this.#rotate();
      writeSync(this.#file, lines);
    } catch {
      // See LineSink.
    }
  }

  /** Lines of the period that is over get its name; what has that name already is never written over. */
  #rotate(): void {
    const rotated = `${this.path}.${this.#period.suffix}`;
    this.#period = periodOf(this.now(), this.interval);
    const isOurs = sameFile(statSync(this.path, { throwIfNoEntry: false }), fstatSync(this.#file));
    if (isOurs && existsSync(rotated)) return;
    if (isOurs) renameSync(this.path, rotated);
    const next = this.#open();
    closeSync(this.#file);
    this.#file = next;
  }

  close(): void {
    closeSync(this.#file);
  }
}

function sameFile(a: Stats | undefined, b: Stats): boolean {
  return a !== undefined && a.ino === b.ino && a.dev === b.dev;
}

/** Log files that several applications of the engine may share: each is open once. The first to come says how often it is
 * rotated. */
export class LogFiles {
  readonly #files = new Map<string, RotatingFile>();

  constructor(private readonly now: () => number = Date.now) {}

  /** @throws Error where the file cannot be opened for writing */
  open(path: string, interval: LogInterval): LineSink {
    const file = this.#files.get(path) ?? new RotatingFile(path, interval, this.now);
    this.#files.set(path, file);
    file.users++;
    let open = true;
    return {
      write: (lines) => {
        if (open) file.write(lines);
      },
      close: () => {
        if (!open) return;
        open = false;
        if (--file.users > 0) return;
        this.#files.delete(path);
        file.close();
      },
    };
  }
}
