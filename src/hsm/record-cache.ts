const CHUNK_BYTES = 64 * 1024;
const LENGTH_BYTES = 2;
const HEAD_BYTES = LENGTH_BYTES + 8;
/** Longer ones are for the disk. */
const MOST_RECORD_BYTES = 1024;

/** The last so many bytes of records, by handle, in chunks: an object each would take as much again. The oldest chunk goes first. */
export class RecordCache {
  /** Bytes since the first chunk began. */
  readonly #places = new Map<number, number>();
  readonly #chunks: Buffer[] = [];
  #end = 0;

  constructor(private readonly mostChunks: number) {}

  /** The record, which is to be read at once. */
  get(handle: number): Buffer | undefined {
    const place = this.#places.get(handle);
    if (place === undefined) return undefined;
    const chunk = this.#chunkAt(place);
    const at = (place % CHUNK_BYTES) + HEAD_BYTES;
    return chunk.subarray(at, at + chunk.readUInt16LE(at - HEAD_BYTES));
  }

  set(handle: number, record: Buffer): void {
    if (record.length > MOST_RECORD_BYTES) return;
    const lengthBytes = HEAD_BYTES + record.length;
    const left = CHUNK_BYTES - (this.#end % CHUNK_BYTES);
    if (lengthBytes + LENGTH_BYTES > left) this.#end += left;
    if (this.#end % CHUNK_BYTES === 0) this.#beginChunk();
    const chunk = this.#chunkAt(this.#end);
    const at = this.#end % CHUNK_BYTES;
    chunk.writeUInt16LE(record.length, at);
    chunk.writeDoubleLE(handle, at + LENGTH_BYTES);
    record.copy(chunk, at + HEAD_BYTES);
    // Ends the chunk, until another one follows.
    chunk.writeUInt16LE(0, at + lengthBytes);
    this.#places.set(handle, this.#end);
    this.#end += lengthBytes;
  }

  delete(handle: number): void {
    this.#places.delete(handle);
  }

  #chunkAt(place: number): Buffer {
    return this.#chunks[Math.floor(place / CHUNK_BYTES) % this.mostChunks]!;
  }

  #beginChunk(): void {
    if (this.#chunks.length < this.mostChunks) this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_BYTES));
    else this.#forgetChunk(this.#end - this.mostChunks * CHUNK_BYTES);
  }

  #forgetChunk(start: number): void {
    const chunk = this.#chunkAt(start);
    for (let at = 0; ; ) {
      const recordBytes = chunk.readUInt16LE(at);
      if (recordBytes === 0) return;
      const handle = chunk.readDoubleLE(at + LENGTH_BYTES);
      if (this.#places.get(handle) === start + at) this.#places.delete(handle);
      at += HEAD_BYTES + recordBytes;
    }
  }
}
