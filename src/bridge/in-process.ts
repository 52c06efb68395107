import { isPromise } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import { readWelcome, type Welcome, writeHello } from '../wire/handshake.js';
import type { Applications } from './applications.js';
import { Channel, farewell } from './channel.js';

/** A module's channel without a socket: for tests and fuzzers. It ends where a socket would be closed. */
export class InProcessChannel {
  readonly #channel: Channel;
  #open = true;

  constructor(applications: Applications, log: Log) {
    this.#channel = new Channel(applications, log);
  }

  get open(): boolean {
    return this.#open;
  }

  /** The answer, or undefined where the engine ended the connection. */
  async exchange(frame: Buffer): Promise<Buffer | undefined> {
    if (!this.#open) return undefined;
    try {
      const answer = this.#channel.receive(Buffer.from(frame));
      return isPromise(answer) ? await answer : answer;
    } catch (error) {
      this.close();
      return farewell(error);
    }
  }

  /** The handshake of a new application, or of one more channel of `token`'s. */
  async hello(token?: Buffer, configFile?: string): Promise<Welcome> {
    const hello = { token, pid: process.pid, program: 'in-process', configFile };
    const welcome = await this.exchange(writeHello(hello));
    return readWelcome(welcome!);
  }

  close(): void {
    this.#open = false;
    this.#channel.close();
  }
}
