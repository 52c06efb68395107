import * as z from 'zod';
import { commandFailure } from '../../base/errors.js';
import { constantTimeEqual, digest } from '../../crypto/index.js';
import type { BackupArchive, BackupLocation } from '../backup-archive.js';
import { EmbeddedKeys } from './embedded-keys.js';
import { ARCHIVED_MAX_BYTES, decryptEnvelope, encryptEnvelope } from './envelope.js';
import { FolderStore } from './folder-store.js';
import type { EncryptionContext, KeyProvider } from './key-provider.js';
import { KmsKeys } from './kms-keys.js';
import type { ObjectStore } from './object-store.js';
import { S3Store } from './s3-store.js';

/** Where backups are kept: in the home's folder with embedded keys, unless something else is said. */
export const archiveSchema = z.strictObject({
  s3: z
    .strictObject({
      /** `{region}` stands for the backup's region. */
      bucket: z.string().regex(/^[a-z0-9.{}-]{3,80}$/),
      prefix: z.string().max(200).optional(),
      endpoint: z.url().optional(),
    })
    .optional(),
  kms: z
    .strictObject({
      keyId: z.string().min(1).max(2048).default('alias/cloudhsm-backups'),
      endpoint: z.url().optional(),
    })
    .optional(),
});

export type ArchiveSettings = z.infer<typeof archiveSchema>;

/** Where the defaults keep everything. */
export interface ArchiveFolders {
  readonly backups: string;
  /** Embedded keys: not beside what they encrypt. */
  readonly keys: string;
}

const parts: { readonly [Part in keyof BackupLocation]: RegExp } = {
  account: /^\d{12}$/,
  region: /^[a-z]{2}(-[a-z]+)+-\d$/,
  backupId: /^backup-[2-7a-zA-Z]{11,16}$/,
};

/** The name it is kept under, which leads out of no folder. */
function keyOf(at: BackupLocation): string {
  for (const [part, form] of Object.entries(parts))
    if (!form.test(at[part as keyof BackupLocation])) throw new Error(`a backup with a malformed ${part}`);
  return `${at.region}/${at.account}/${at.backupId}`;
}

/** Nothing that is secret: who owns the key sees it. */
const contextOf = ({ account, region, backupId }: BackupLocation): EncryptionContext => ({
  'cloudhsm:account': account,
  'cloudhsm:backup-id': backupId,
  'cloudhsm:region': region,
});

const sha256 = (bytes: Buffer): Buffer => digest('sha256', bytes);

/** HSMs' containers, encrypted once more under a key of their region, in an object store. */
export class EncryptedArchive implements BackupArchive {
  readonly #stores = new Map<string, ObjectStore>();

  constructor(
    private readonly keys: KeyProvider,
    private readonly storeOf: (region: string) => ObjectStore,
  ) {}

  #store(region: string): ObjectStore {
    let store = this.#stores.get(region);
    if (store === undefined) {
      store = this.storeOf(region);
      this.#stores.set(region, store);
    }
    return store;
  }

  /** Where a backup is, for people. */
  place(at: BackupLocation): string {
    return `${this.#store(at.region).place}${keyOf(at)}`;
  }

  async store(at: BackupLocation, container: Buffer): Promise<void> {
    const key = keyOf(at);
    const dataKey = await this.keys.generate(at.region, contextOf(at));
    await this.#store(at.region).put(key, await encryptEnvelope(dataKey, container));
  }

  async fetch(at: BackupLocation): Promise<Buffer> {
    const archived = await this.#store(at.region).get(keyOf(at), ARCHIVED_MAX_BYTES);
    if (archived === undefined)
      throw commandFailure('BACKUP_REFUSED', `${at.backupId} is not at ${this.place(at)}`);
    return decryptEnvelope(archived, (data) => this.keys.decrypt(at.region, contextOf(at), data));
  }

  /** What arrived is read again: a copy is only one when its container is the same. */
  async copy(from: BackupLocation, to: BackupLocation): Promise<void> {
    const container = await this.fetch(from);
    await this.store(to, container);
    if (constantTimeEqual(sha256(await this.fetch(to)), sha256(container))) return;
    await this.remove(to);
    throw commandFailure('BACKUP_REFUSED', `the copy of ${from.backupId} is not what was copied`);
  }

  async remove(at: BackupLocation): Promise<void> {
    await this.#store(at.region).remove(keyOf(at));
  }

  /** The ids of an account's backups in a region. */
  async list(region: string, account: string): Promise<readonly string[]> {
    const prefix = `${region}/${account}/`;
    return (await this.#store(region).list(prefix)).map((key) => key.slice(prefix.length));
  }
}

export function openArchive({ s3, kms }: ArchiveSettings, folders: ArchiveFolders): EncryptedArchive {
  const keys = kms === undefined ? new EmbeddedKeys(folders.keys) : new KmsKeys(kms);
  const folder = new FolderStore(folders.backups);
  return new EncryptedArchive(keys, (region) => (s3 === undefined ? folder : new S3Store(s3, region)));
}
