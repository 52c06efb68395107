import { describeError } from '../base/errors.js';
import type { Log } from '../base/log.js';

/** Says in the log why HSMs cannot be had that are tried again and again: once, and again when the reason is another one. */
export class Complaints {
  readonly #told = new Map<string, string>();

  /**
   * @param what whoever tries wants to be
   * @param about which HSM it is, in the log's fields
   */
  constructor(
    private readonly log: Log,
    private readonly what: 'connected' | 'synchronised',
    private readonly about: (hsm: string) => Readonly<Record<string, string>>,
  ) {}

  failed(hsm: string, error: unknown): void {
    const why = describeError(error);
    if (this.#told.get(hsm) === why) return;
    this.#told.set(hsm, why);
    this.log.warn(this.about(hsm), `not ${this.what}: ${why}`);
  }

  worked(hsm: string): void {
    if (this.#told.delete(hsm)) this.log.info(this.about(hsm), `${this.what} again`);
  }

  forget(hsm: string): void {
    this.#told.delete(hsm);
  }
}
