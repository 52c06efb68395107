import { join } from 'node:path';
import { commandFailure } from '../base/errors.js';
import { readFileIfPresent, syncFolder } from '../base/files.js';
import { BLOCK_BYTES, decodeFrame, encodeFrame, type Frame } from './journal-frame.js';
import type { Change } from './record-store.js';
import { SyncedFile } from './synced-file.js';

/** A file is left for the other one when it is so long. */
const FILE_BYTES = 1024 * 1024;

const SPACE_BYTES = 16 * 1024;

interface JournalFile {
  readonly path: string;
  /** Made with the first frame. */
  opened: SyncedFile | undefined;
  /** Where its next frame goes. */
  end: number;
  lengthBytes: number;
  /** The sequence number of its last frame; 0 without one. */
  last: number;
}

type Done = (error: unknown, frame: Frame) => void;

interface FoundFrame {
  readonly frame: Frame;
  readonly file: JournalFile;
  readonly end: number;
}

/** Frames in a file that are later than what is in LMDB. They begin at blocks; what is older, torn or inside of a frame is none. */
function framesIn(file: JournalFile, bytes: Buffer, applied: number): FoundFrame[] {
  const found: FoundFrame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const frame = decodeFrame(bytes, at, applied);
    at += frame?.lengthBytes ?? BLOCK_BYTES;
    if (frame !== undefined) found.push({ frame, file, end: at });
  }
  return found;
}

/** Each frame names the one before it. Of two that name the same one the first was reported as failed, and is none. */
function chainOf(found: readonly FoundFrame[], applied: number, directory: string): FoundFrame[] {
  const next = new Map<number, FoundFrame>();
  for (const one of found) {
    const other = next.get(one.frame.after);
    if (other === undefined || other.frame.sequence < one.frame.sequence) next.set(one.frame.after, one);
  }
  const chain: FoundFrame[] = [];
  let last = applied;
  for (let one = next.get(last); one !== undefined; one = next.get(last)) {
    chain.push(one);
    last = one.frame.sequence;
  }
  if (found.some(({ frame }) => frame.after > last))
    throw commandFailure(
      'CORRUPT_STORE',
      `the journal in ${directory} was damaged, or is of another time than data.mdb: it has what was written later than ${last}, and not what was written next`,
    );
  return chain;
}

/**
 * What has been written and is not in LMDB yet, on disk: frames in two files, one after the other, each durable with a single flush.
 * A file is written over from its beginning when all its frames are in LMDB. One frame is written at a time.
 */
export class Journal {
  readonly #directory: string;
  readonly #files: readonly JournalFile[];
  /** For most frames, one after the other. */
  readonly #space = Buffer.alloc(SPACE_BYTES);
  #active = 0;
  /** The last frame that is durable. */
  #last: number;
  /** The last number that was given to a frame. */
  #sequence: number;
  #applied: number;

  private constructor(directory: string, files: readonly JournalFile[], applied: number) {
    this.#directory = directory;
    this.#files = files;
    this.#applied = applied;
    this.#last = applied;
    this.#sequence = applied;
  }

  /** The journal in a folder, and what it has that is not in LMDB, where everything up to `applied` is. Nothing is made before the
   * first write. Throws CORRUPT_STORE. */
  static open(directory: string, applied: number): { journal: Journal; frames: readonly Frame[] } {
    const files = ['journal.0', 'journal.1'].map((name): JournalFile => {
      return { path: join(directory, name), opened: undefined, end: 0, lengthBytes: 0, last: 0 };
    });
    const found = files.flatMap((file) => {
      const bytes = readFileIfPresent(file.path) ?? Buffer.alloc(0);
      file.lengthBytes = bytes.length;
      return framesIn(file, bytes, applied);
    });
    const journal = new Journal(directory, files, applied);
    const chain = chainOf(found, applied, directory);
    for (const { file, end, frame } of chain) {
      file.end = end;
      file.last = frame.sequence;
      journal.#active = files.indexOf(file);
      journal.#last = frame.sequence;
    }
    journal.#sequence = journal.#last;
    return { journal, frames: chain.map(({ frame }) => frame) };
  }

  /** The sequence number of the last frame that is durable. */
  get last(): number {
    return this.#last;
  }

  /** Everything up to this frame is in LMDB: its space is free. */
  release(applied: number): void {
    this.#applied = applied;
    for (const file of this.#files) if (file.last <= applied) file.end = 0;
  }

  /**
   * Writes changes as the next frame and calls back when they are durable, or with what the system has answered: then they are not, and
   * the next frame takes their place.
   * @returns false where there is no room before more is released
   */
  append(changes: readonly Change[], done: Done): boolean {
    const { bytes, frame } = encodeFrame(this.#space, this.#sequence + 1, this.#last, changes);
    const file = this.#fileWithRoom(bytes.length);
    if (file === undefined) return false;
    this.#sequence = frame.sequence;
    let opened: SyncedFile;
    try {
      opened = this.#open(file);
    } catch (error) {
      process.nextTick(done, error, frame);
      return true;
    }
    // Meanwhile the file may come to begin anew.
    const position = file.end;
    const end = position + bytes.length;
    opened.write(bytes, position, end <= file.lengthBytes, (error) => {
      if (error !== null) {
        // It may be there all the same, and must not be found.
        opened.clear(position, BLOCK_BYTES, () => done(error, frame));
        return;
      }
      file.end = end;
      file.lengthBytes = Math.max(file.lengthBytes, end);
      file.last = frame.sequence;
      this.#last = frame.sequence;
      done(undefined, frame);
    });
    return true;
  }

  /** A frame that is longer than a file should be has one for itself. */
  #fileWithRoom(bytes: number): JournalFile | undefined {
    const hasRoom = ({ end }: JournalFile): boolean => end === 0 || end + bytes <= FILE_BYTES;
    if (!hasRoom(this.#files[this.#active]!)) {
      const other = 1 - this.#active;
      if (this.#files[other]!.last > this.#applied) return undefined;
      this.#active = other;
    }
    return this.#files[this.#active];
  }

  #open(file: JournalFile): SyncedFile {
    file.opened ??= new SyncedFile(file.path);
    // What is written to a file is found if the file is.
    if (file.lengthBytes === 0) syncFolder(this.#directory);
    if (file.end === 0 && file.lengthBytes > FILE_BYTES) {
      file.opened.shorten(FILE_BYTES);
      file.lengthBytes = FILE_BYTES;
    }
    return file.opened;
  }

  close(): void {
    for (const { opened } of this.#files) opened?.close();
  }
}
