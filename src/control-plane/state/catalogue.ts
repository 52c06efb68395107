import { commandFailure } from '../../base/errors.js';
import type { Change, RecordStore } from '../../store/record-store.js';
import { type RecordKind, type RecordOf, recordSchemas } from './records.js';

/** A record that a transaction has written or removed. */
export interface CatalogueChange {
  readonly kind: RecordKind;
  readonly id: string;
}

/** What a transaction sees: what is committed, and above it what it has written itself. */
export interface Transaction {
  get<K extends RecordKind>(kind: K, id: string): RecordOf<K> | undefined;
  all<K extends RecordKind>(kind: K): readonly RecordOf<K>[];
  put<K extends RecordKind>(kind: K, record: RecordOf<K>): void;
  remove(kind: RecordKind, id: string): void;
}

const kinds = Object.keys(recordSchemas) as RecordKind[];
const FORMAT = { id: 'format', value: '1' };

/** `kind/id`. */
const recordKeyOf = (kind: RecordKind, id: string): Buffer => Buffer.from(`${kind}/${id}`);

type Records = { [K in RecordKind]: Map<string, RecordOf<K>> };

function emptyRecords(): Records {
  return { cluster: new Map(), backup: new Map(), subnet: new Map(), setting: new Map() };
}

/**
 * What the control plane knows, in memory and on disk. Readers see what is committed, and only that; transactions run one
 * after the other, and what one has answered is on disk.
 */
export class Catalogue {
  readonly #records = emptyRecords();
  readonly #listeners: ((changes: readonly CatalogueChange[]) => void)[] = [];
  #last: Promise<unknown> = Promise.resolve();

  private constructor(private readonly store: RecordStore) {}

  /** Throws CORRUPT_STORE. */
  static async open(store: RecordStore): Promise<Catalogue> {
    const catalogue = new Catalogue(store);
    for (const kind of kinds)
      for (const key of store.keys('catalogue', Buffer.from(`${kind}/`))) catalogue.#load(kind, key);
    const format = catalogue.get('setting', FORMAT.id);
    if (format === undefined) await catalogue.transaction((tx) => tx.put('setting', FORMAT));
    else if (format.value !== FORMAT.value)
      throw commandFailure(
        'CORRUPT_STORE',
        `the catalogue has format ${format.value}: this program reads format ${FORMAT.value}`,
      );
    return catalogue;
  }

  #load(kind: RecordKind, key: Buffer): void {
    try {
      const value = this.store.get('catalogue', key)!.toString('utf8');
      const record = recordSchemas[kind].parse(JSON.parse(value)) as RecordOf<RecordKind>;
      (this.#records[kind] as Map<string, RecordOf<RecordKind>>).set(record.id, record);
    } catch (error) {
      throw commandFailure('CORRUPT_STORE', `the catalogue's record ${key} is damaged`, error);
    }
  }

  get<K extends RecordKind>(kind: K, id: string): RecordOf<K> | undefined {
    return this.#records[kind].get(id) as RecordOf<K> | undefined;
  }

  all<K extends RecordKind>(kind: K): readonly RecordOf<K>[] {
    return [...this.#records[kind].values()] as RecordOf<K>[];
  }

  /** Is told of each commit, after it. */
  onCommit(listener: (changes: readonly CatalogueChange[]) => void): void {
    this.#listeners.push(listener);
  }

  /** Runs `work` alone and commits what it has written, all of it or, when it throws, nothing. */
  transaction<T>(work: (tx: Transaction) => T): Promise<T> {
    const running = this.#last.then(() => this.#run(work));
    this.#last = running.catch(() => undefined);
    return running;
  }

  async #run<T>(work: (tx: Transaction) => T): Promise<T> {
    const written = new Map<
      string,
      { kind: RecordKind; id: string; record: RecordOf<RecordKind> | undefined }
    >();
    const result = work(this.#transactionOver(written));
    if (written.size === 0) return result;
    const entries = [...written.values()];
    const changes: Change[] = entries.map(({ kind, id, record }) => ({
      table: 'catalogue',
      key: recordKeyOf(kind, id),
      value: record === undefined ? undefined : Buffer.from(JSON.stringify(record)),
    }));
    await this.store.write(changes);
    for (const { kind, id, record } of entries) {
      const records = this.#records[kind] as Map<string, RecordOf<RecordKind>>;
      if (record === undefined) records.delete(id);
      else records.set(id, record);
    }
    for (const listener of this.#listeners) listener(entries);
    return result;
  }

  #transactionOver(
    written: Map<string, { kind: RecordKind; id: string; record: RecordOf<RecordKind> | undefined }>,
  ): Transaction {
    const write = (kind: RecordKind, id: string, record: RecordOf<RecordKind> | undefined): void => {
      written.set(`${kind}/${id}`, { kind, id, record });
    };
    const get = <K extends RecordKind>(kind: K, id: string): RecordOf<K> | undefined => {
      const own = written.get(`${kind}/${id}`);
      return own === undefined ? this.get(kind, id) : (own.record as RecordOf<K> | undefined);
    };
    return {
      get,
      all: <K extends RecordKind>(kind: K) => {
        const own = [...written.values()].filter((entry) => entry.kind === kind);
        const ids = new Set([...this.#records[kind].keys(), ...own.map(({ id }) => id)]);
        return [...ids].flatMap((id) => get(kind, id) ?? []);
      },
      put: (kind, record) => write(kind, record.id, record as RecordOf<RecordKind>),
      remove: (kind, id) => write(kind, id, undefined),
    };
  }

  /** Waits for what runs. */
  async close(): Promise<void> {
    await this.#last;
    await this.store.close();
  }
}
