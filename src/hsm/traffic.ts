/** What counts the bytes of one network connection: a socket. */
export interface CountsBytes {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** Bytes that came to an HSM and left it over the network, those of connections that have ended included. */
export class Traffic {
  readonly #open = new Set<CountsBytes>();
  #read = 0;
  #written = 0;

  add(connection: CountsBytes): void {
    this.#open.add(connection);
  }

  remove(connection: CountsBytes): void {
    if (!this.#open.delete(connection)) return;
    this.#read += connection.bytesRead;
    this.#written += connection.bytesWritten;
  }

  get connections(): number {
    return this.#open.size;
  }

  get read(): number {
    return [...this.#open].reduce((sum, { bytesRead }) => sum + bytesRead, this.#read);
  }

  get written(): number {
    return [...this.#open].reduce((sum, { bytesWritten }) => sum + bytesWritten, this.#written);
  }
}
