import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  sign,
} from 'node:crypto';

/** DER of DigestInfo up to the hash (RFC 8017, section 9.2, note 1). */
const SHA256_PREFIX = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/** The key of somebody who signs challenges and approves tokens, as `openssl` would have it. */
export class OfficerKey {
  readonly publicKey: Buffer;
  readonly #key: KeyObject;

  constructor(modulusLength = 2048) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
    this.#key = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    this.publicKey = publicKey.export({ type: 'spki', format: 'der' });
  }

  /** `openssl pkeyutl -sign -pkeyopt digest:sha256`: the value is a hash already. */
  signDigest(sha256: Buffer): Buffer {
    return privateEncrypt(this.#key, Buffer.concat([SHA256_PREFIX, sha256]));
  }

  /** `openssl dgst -sha256 -sign`. */
  signFile(data: Buffer): Buffer {
    return sign('sha256', data, this.#key);
  }

  /** What the CLI does with its `approval_data`: it signs the SHA-256 that it wrote as `token`. */
  signAsCli(approvalData: Buffer): Buffer {
    return this.signDigest(createHash('sha256').update(approvalData).digest());
  }
}
