import { join } from 'node:path';
import { commandFailure } from '../../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../../base/files.js';
import { importSecretKey, randomBytes, type SecretKey } from '../../crypto/index.js';
import { seal, unseal } from '../../store/sealing.js';
import {
  DATA_KEY_BYTES,
  type DataKey,
  type EncryptionContext,
  type KeyProvider,
  notOfThisBackup,
} from './key-provider.js';

const KEY_BYTES = 32;
const ALIAS = 'embedded:alias/cloudhsm-backups';

const identityOf = (region: string, context: EncryptionContext): Buffer =>
  Buffer.from(JSON.stringify([region, Object.entries(context).sort()]));

/** Keys in files of this machine, `<region>.key`, made when they are first needed: without them backups cannot be read. */
export class EmbeddedKeys implements KeyProvider {
  constructor(private readonly folder: string) {}

  #key(region: string, mayMake: boolean): SecretKey {
    const file = join(this.folder, `${region}.key`);
    let bytes = readFileIfPresent(file);
    if (bytes === undefined && mayMake) {
      bytes = randomBytes(KEY_BYTES);
      writePrivateFile(file, bytes);
    }
    if (bytes?.length !== KEY_BYTES) {
      const state = bytes === undefined ? 'is missing' : `has ${bytes.length} bytes instead of ${KEY_BYTES}`;
      throw commandFailure(
        'BACKUP_REFUSED',
        `${file} ${state}: the backups of ${region} cannot be read without it`,
      );
    }
    const key = importSecretKey(bytes);
    bytes.fill(0);
    return key;
  }

  async generate(region: string, context: EncryptionContext): Promise<DataKey> {
    const key = this.#key(region, true);
    const plaintext = randomBytes(DATA_KEY_BYTES);
    const encrypted = seal(key, identityOf(region, context), plaintext);
    key.destroy();
    return { plaintext, encrypted, keyId: ALIAS };
  }

  async decrypt(
    region: string,
    context: EncryptionContext,
    { encrypted, keyId }: Pick<DataKey, 'encrypted' | 'keyId'>,
  ): Promise<Buffer> {
    if (keyId !== ALIAS)
      throw commandFailure(
        'BACKUP_REFUSED',
        `the backup is encrypted under ${keyId}: configure the KMS that has it`,
      );
    const key = this.#key(region, false);
    const plaintext = unseal(key, identityOf(region, context), encrypted);
    key.destroy();
    if (plaintext?.length !== DATA_KEY_BYTES) throw notOfThisBackup();
    return plaintext;
  }
}
