/** Where archived backups are: bytes under names. All of it is encrypted before it gets here. */
export interface ObjectStore {
  /** What all keys are behind, for people. */
  readonly place: string;
  /** All of it or nothing; durable when it resolves. */
  put(key: string, bytes: Buffer): Promise<void>;
  /** At most `maxBytes`: more is none of ours. undefined if there is none. */
  get(key: string, maxBytes: number): Promise<Buffer | undefined>;
  /** One that is not there is no failure. */
  remove(key: string): Promise<void>;
  /** Keys that start with `prefix`, sorted. */
  list(prefix: string): Promise<readonly string[]>;
}
