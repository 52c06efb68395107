import type { S3Client } from '@aws-sdk/client-s3';
import type { ObjectStore } from './object-store.js';

/** Larger ones go up in parts of this size, the least that S3 takes being 5 MiB. */
const PART_BYTES = 8 * 1024 * 1024;

export interface S3Settings {
  /** `{region}` stands for the backup's region. */
  readonly bucket: string;
  /** In front of all keys. */
  readonly prefix?: string | undefined;
  /** Of another store than AWS's, which is then asked by path, not by host. */
  readonly endpoint?: string | undefined;
}

type Sdk = typeof import('@aws-sdk/client-s3');

const isMissing = (error: unknown): boolean =>
  error instanceof Error && ['NoSuchKey', 'NotFound'].includes(error.name);

/** A bucket of S3 or of what speaks its protocol, with the credentials that AWS's SDK finds. */
export class S3Store implements ObjectStore {
  readonly place: string;
  readonly #bucket: string;
  readonly #prefix: string;
  /** Loaded with the first call: who does not use it does not pay for it. */
  #loaded: Promise<{ sdk: Sdk; client: S3Client }> | undefined;

  constructor(
    private readonly settings: S3Settings,
    private readonly region: string,
  ) {
    this.#bucket = settings.bucket.replaceAll('{region}', region);
    this.#prefix = settings.prefix ?? '';
    this.place = `s3://${this.#bucket}/${this.#prefix}`;
  }

  #load(): Promise<{ sdk: Sdk; client: S3Client }> {
    this.#loaded ??= import('@aws-sdk/client-s3').then((sdk) => {
      const { endpoint } = this.settings;
      const client = new sdk.S3Client({
        region: this.region,
        ...(endpoint && { endpoint, forcePathStyle: true }),
        // Stores other than AWS's do not know the later checksums.
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
      });
      return { sdk, client };
    });
    return this.#loaded;
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${key}` };
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    if (bytes.length > PART_BYTES) return this.#putParts(key, bytes);
    const { sdk, client } = await this.#load();
    await client.send(new sdk.PutObjectCommand({ ...this.#at(key), Body: bytes }));
  }

  /** Nothing is there before all parts are; those of one that failed are taken away. */
  async #putParts(key: string, bytes: Buffer): Promise<void> {
    const { sdk, client } = await this.#load();
    const at = this.#at(key);
    const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand(at));
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
      for (let begin = 0; begin < bytes.length; begin += PART_BYTES) {
        const PartNumber = Parts.length + 1;
        const Body = bytes.subarray(begin, begin + PART_BYTES);
        const { ETag } = await client.send(new sdk.UploadPartCommand({ ...at, UploadId, PartNumber, Body }));
        Parts.push({ ETag, PartNumber });
      }
      const MultipartUpload = { Parts };
      await client.send(new sdk.CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload }));
    } catch (error) {
      await client.send(new sdk.AbortMultipartUploadCommand({ ...at, UploadId })).catch(() => undefined);
      throw error;
    }
  }

  async get(key: string, maxBytes: number): Promise<Buffer | undefined> {
    const { sdk, client } = await this.#load();
    try {
      const { Body, ContentLength } = await client.send(new sdk.GetObjectCommand(this.#at(key)));
      const tooLong = new Error(`${key} is no archived backup`);
      if (Body === undefined || (ContentLength ?? 0) > maxBytes) throw tooLong;
      // How much comes is believed when it is there, not when it is announced.
      const pieces: Uint8Array[] = [];
      let lengthBytes = 0;
      for await (const piece of Body as AsyncIterable<Uint8Array>) {
        lengthBytes += piece.length;
        if (lengthBytes > maxBytes) throw tooLong;
        pieces.push(piece);
      }
      return Buffer.concat(pieces);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async remove(key: string): Promise<void> {
    const { sdk, client } = await this.#load();
    await client.send(new sdk.DeleteObjectCommand(this.#at(key)));
  }

  async list(prefix: string): Promise<readonly string[]> {
    const { sdk, client } = await this.#load();
    const keys: string[] = [];
    for (let ContinuationToken: string | undefined; ; ) {
      const { Key: Prefix, Bucket } = this.#at(prefix);
      const page = await client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix, ContinuationToken }));
      for (const { Key } of page.Contents ?? []) keys.push(Key!.slice(this.#prefix.length));
      ContinuationToken = page.NextContinuationToken;
      if (ContinuationToken === undefined) return keys.sort();
    }
  }
}
