import { commandFailure, type Failure } from '../../base/errors.js';

/** What a data key is bound to. It is no secret: the owner of a key sees it. */
export type EncryptionContext = Readonly<Record<string, string>>;

export const DATA_KEY_BYTES = 32;

/** A key that encrypts one archived backup. */
export interface DataKey {
  /** In the clear, to be cleansed after use. */
  readonly plaintext: Buffer;
  /** Encrypted under the region's key. */
  readonly encrypted: Buffer;
  readonly keyId: string;
}

/** The keys of the service, one per region, which never leave their place. */
export interface KeyProvider {
  generate(region: string, context: EncryptionContext): Promise<DataKey>;
  /** Throws BACKUP_REFUSED for what `generate` did not give with this context in this region. */
  decrypt(
    region: string,
    context: EncryptionContext,
    data: Pick<DataKey, 'encrypted' | 'keyId'>,
  ): Promise<Buffer>;
}

export function notOfThisBackup(): Failure {
  return commandFailure(
    'BACKUP_REFUSED',
    'the archived backup was damaged, or is not the one that was archived under this id',
  );
}
