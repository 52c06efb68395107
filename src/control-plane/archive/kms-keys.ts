import type { KMSClient } from '@aws-sdk/client-kms';
import { commandFailure } from '../../base/errors.js';
import {
  DATA_KEY_BYTES,
  type DataKey,
  type EncryptionContext,
  type KeyProvider,
  notOfThisBackup,
} from './key-provider.js';

export interface KmsSettings {
  /** Key id, ARN or alias; keys are regional, an alias is the same in all of them. */
  readonly keyId: string;
  readonly endpoint?: string | undefined;
}

type Sdk = typeof import('@aws-sdk/client-kms');
type Loaded = { readonly sdk: Sdk; readonly client: KMSClient };

/** KMS's errors that trying again does not mend (reference section 11.3), and what they say of the backup. */
const unusable: { readonly [name: string]: string } = {
  DisabledException: 'is disabled: enable it to use the backups under it',
  KMSInvalidStateException: 'is about to be deleted, or in another state that it cannot be used in',
  NotFoundException: 'is not there: it was deleted, or is of another region',
  AccessDeniedException: 'may not be used with these credentials',
};
const mismatches = ['InvalidCiphertextException', 'IncorrectKeyException'];

/** The keys of a KMS, with the credentials that AWS's SDK finds. */
export class KmsKeys implements KeyProvider {
  /** Clients by region, loaded with the first call. */
  readonly #loaded = new Map<string, Promise<Loaded>>();

  constructor(private readonly settings: KmsSettings) {}

  #load(region: string): Promise<Loaded> {
    let loaded = this.#loaded.get(region);
    if (loaded === undefined) {
      loaded = import('@aws-sdk/client-kms').then((sdk) => {
        const { endpoint } = this.settings;
        return { sdk, client: new sdk.KMSClient({ region, ...(endpoint && { endpoint }) }) };
      });
      this.#loaded.set(region, loaded);
    }
    return loaded;
  }

  async #asking<T>(region: string, keyId: string, ask: (loaded: Loaded) => Promise<T>): Promise<T> {
    try {
      return await ask(await this.#load(region));
    } catch (error) {
      const name = error instanceof Error ? error.name : '';
      if (mismatches.includes(name)) throw notOfThisBackup();
      const state = unusable[name];
      if (state === undefined) throw error;
      throw commandFailure('BACKUP_REFUSED', `KMS key ${keyId} of ${region} ${state}`, error);
    }
  }

  async generate(region: string, context: EncryptionContext): Promise<DataKey> {
    const { keyId } = this.settings;
    const answer = await this.#asking(region, keyId, ({ sdk, client }) =>
      client.send(
        new sdk.GenerateDataKeyCommand({ KeyId: keyId, KeySpec: 'AES_256', EncryptionContext: context }),
      ),
    );
    const { Plaintext, CiphertextBlob, KeyId } = answer;
    if (Plaintext?.length !== DATA_KEY_BYTES || CiphertextBlob === undefined || KeyId === undefined)
      throw new Error(`KMS of ${region} gave no data key`);
    return { plaintext: Buffer.from(Plaintext), encrypted: Buffer.from(CiphertextBlob), keyId: KeyId };
  }

  async decrypt(
    region: string,
    context: EncryptionContext,
    { encrypted, keyId }: Pick<DataKey, 'encrypted' | 'keyId'>,
  ): Promise<Buffer> {
    const { Plaintext } = await this.#asking(region, keyId, ({ sdk, client }) =>
      client.send(
        new sdk.DecryptCommand({ KeyId: keyId, CiphertextBlob: encrypted, EncryptionContext: context }),
      ),
    );
    if (Plaintext?.length !== DATA_KEY_BYTES) throw notOfThisBackup();
    return Buffer.from(Plaintext);
  }
}
