/** Which backup, and under which region's key it is kept. */
export interface BackupLocation {
  readonly account: string;
  readonly region: string;
  readonly backupId: string;
}

/** Where backups are kept: containers of HSMs under a further layer of encryption. Every method is idempotent. */
export interface BackupArchive {
  /** Durable when the promise resolves. */
  store(at: BackupLocation, container: Buffer): Promise<void>;
  /** Rejects when it is not there or is not what was stored under this id. */
  fetch(at: BackupLocation): Promise<Buffer>;
  /** Decrypts under the one region's key and encrypts under the other's; the container inside stays as it is. */
  copy(from: BackupLocation, to: BackupLocation): Promise<void>;
  /** One that is not there is no failure. */
  remove(at: BackupLocation): Promise<void>;
}
