import { Failure } from '../base/errors.js';
import { notWritten, requireWritable, WritableDisk } from './disk-room.js';
import type { Journal } from './journal.js';
import { BLOCK_BYTES, type Frame, LONGEST_KEY_BYTES, type StoredChange } from './journal-frame.js';
import type { PendingChanges } from './pending.js';
import type { Change } from './record-store.js';

/** What is pending goes to LMDB when it is so much in the journal, or this old. */
const CHECKPOINT_BYTES = 512 * 1024;
const CHECKPOINT_MS = 150;
/** After one that failed. */
const RETRY_MS = 1000;

/** The last of a disk's room is not for new keys, so that an engine can still start and log. */
const FREE_FOR_OBJECTS_BYTES = 1024 * 1024;
const FREE_FOR_THE_REST_BYTES = 64 * 1024;

/** What a change may take of the disk in LMDB, which writes a page that changes, and the one above it, to another place. */
const bytesInLmdb = ({ value }: StoredChange): number => 2 * BLOCK_BYTES + (value?.length ?? 0);

/** Commits changes to LMDB, synced, and with them up to which frame everything is there then, if that is told. */
export type Commit = (changes: readonly StoredChange[], applied: number | undefined) => Promise<void>;

interface Waiting {
  readonly changes: readonly Change[];
  done(): void;
  failed(error: unknown): void;
}

const isOfObject = ({ table, value }: Change): boolean => table === 'objects' && value !== undefined;

const nothing = (): void => undefined;

function fail(group: readonly Waiting[], error: unknown): void {
  const failure = error instanceof Failure ? error : notWritten(error);
  for (const { failed } of group) failed(failure);
}

function requireKeys(changes: readonly Change[]): void {
  for (const { key } of changes)
    if (1 + key.length > LONGEST_KEY_BYTES)
      throw notWritten(
        new RangeError(`a key has ${1 + key.length} bytes of ${LONGEST_KEY_BYTES} possible ones`),
      );
}

/** Writes, on their way through the journal to LMDB. Those that come while others are being flushed share the next frame. */
export class JournaledWrites {
  #waiting: Waiting[] = [];
  /** A frame is on its way, or waits for a checkpoint. */
  #flushing = false;
  #checkpoint: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What the journal has got since the last checkpoint began. */
  #bytes = 0;
  #rest = nothing;
  readonly #disk: WritableDisk;

  constructor(
    private readonly directory: string,
    private readonly journal: Journal,
    private readonly pending: PendingChanges,
    private readonly commit: Commit,
  ) {
    this.#disk = new WritableDisk(directory);
    if (!pending.isEmpty) this.#checkpointIn(CHECKPOINT_MS);
  }

  /** Durable, and to be seen, when it resolves. */
  write(changes: readonly Change[]): Promise<void> {
    return new Promise((done, failed) => {
      this.#disk.require(changes.some(isOfObject) ? FREE_FOR_OBJECTS_BYTES : FREE_FOR_THE_REST_BYTES);
      requireKeys(changes);
      this.#waiting.push({ changes, done, failed });
      if (!this.#flushing) this.#flush();
    });
  }

  #flush(): void {
    this.#flushing = this.#waiting.length > 0;
    if (!this.#flushing) {
      this.#rest();
      return;
    }
    const group = this.#waiting;
    const [first] = group;
    const changes = group.length === 1 ? first!.changes : group.flatMap((waiting) => waiting.changes);
    try {
      const isWriting = this.journal.append(changes, (error, frame) => this.#flushed(group, error, frame));
      if (isWriting) this.#waiting = [];
      else this.#makeRoom();
    } catch (error) {
      this.#failWaiting(error);
    }
  }

  #flushed(group: readonly Waiting[], error: unknown, frame: Frame): void {
    if (error === undefined) {
      this.pending.add(frame);
      this.#bytes += frame.lengthBytes;
      this.#disk.took(frame.lengthBytes);
      for (const { done } of group) done();
      this.#checkpointInTime();
    } else {
      this.#disk.hasFailed();
      fail(group, error);
    }
    this.#flush();
  }

  /** What waits goes on after a checkpoint, or fails for the reason that the checkpoint has. */
  #makeRoom(): void {
    this.#checkpointNow().then(
      () => this.#flush(),
      (error) => this.#failWaiting(error),
    );
  }

  #failWaiting(error: unknown): void {
    fail(this.#waiting.splice(0), error);
    this.#flush();
  }

  #checkpointInTime(): void {
    if (this.#bytes >= CHECKPOINT_BYTES) this.#checkpointNow().catch(nothing);
    else this.#checkpointIn(CHECKPOINT_MS);
  }

  #checkpointIn(ms: number): void {
    this.#timer ??= setTimeout(() => this.#checkpointNow().catch(nothing), ms).unref();
  }

  /** One that is under way, or a new one. */
  #checkpointNow(): Promise<void> {
    if (this.#checkpoint !== undefined) return this.#checkpoint;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes = 0;
    this.#checkpoint = this.#commitPending().then(
      () => {
        this.#checkpoint = undefined;
        if (!this.pending.isEmpty) this.#checkpointInTime();
      },
      (error) => {
        this.#checkpoint = undefined;
        this.#checkpointIn(RETRY_MS);
        throw error;
      },
    );
    return this.#checkpoint;
  }

  async #commitPending(): Promise<void> {
    const applied = this.journal.last;
    let changes: readonly StoredChange[] = this.pending.all();
    while (changes.length > 0) {
      const count = this.#mostThatFit(changes);
      const rest = changes.slice(count);
      await this.commit(changes.slice(0, count), rest.length === 0 ? applied : undefined);
      changes = rest;
    }
    this.pending.release(applied);
    this.journal.release(applied);
  }

  /** All of them, but where a disk is nearly full, whose room LMDB can use again after a commit. What a crash leaves in LMDB of some
   * of them is in the journal as well, with all others. */
  #mostThatFit(changes: readonly StoredChange[]): number {
    const leastBytes = FREE_FOR_THE_REST_BYTES + bytesInLmdb(changes[0]!);
    const freeBytes = requireWritable(this.directory, leastBytes);
    let bytes = leastBytes;
    let count = 1;
    while (count < changes.length && bytes < freeBytes / 2) bytes += bytesInLmdb(changes[count++]!);
    return bytes <= freeBytes ? count : count - 1;
  }

  /** Puts everything into LMDB. What does not go there stays in the journal. */
  async close(): Promise<void> {
    if (this.#flushing)
      await new Promise<void>((resolve) => {
        this.#rest = resolve;
      });
    await this.#checkpoint?.catch(nothing);
    await this.#checkpointNow().catch(nothing);
    clearTimeout(this.#timer);
    this.journal.close();
  }
}
