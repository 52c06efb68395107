import type { Eventually } from '../base/eventually.js';
import { forms } from '../hsm/commands/forms.js';
import type { AnswerOf, CommandName, RequestOf } from '../hsm/commands/index.js';
import { KnownKeys } from './known-keys.js';
import { RandomReserve } from './random-reserve.js';

/** Gives a command to the HSM. */
type Ask = <N extends CommandName>(
  name: N,
  request: RequestOf<N>,
  cause: string | undefined,
) => Promise<AnswerOf<N>>;

/** What a connection to an HSM elsewhere can answer without asking it each time: what it has said of keys, and random bytes that it
 * has given. */
export class AnsweringAhead {
  readonly #keys = new KnownKeys();
  readonly #random = new RandomReserve();
  #loggedIn = false;
  #logouts = 0;
  #closed = false;

  constructor(private readonly ask: Ask) {}

  send<N extends CommandName>(
    name: N,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Eventually<AnswerOf<N>> {
    if (this.#closed) return this.ask(name, request, cause);
    if (name === 'describeKey')
      return this.#describe(request as RequestOf<'describeKey'>, cause) as Eventually<AnswerOf<N>>;
    // Before a login the HSM decides about each request.
    if (name === 'generateRandom' && this.#loggedIn)
      return this.#generate(request as RequestOf<'generateRandom'>, cause) as Eventually<AnswerOf<N>>;
    // What an HSM does not tell: session keys, and who is logged in.
    if (forms[name].changes) {
      const { handle } = request as { handle: number };
      this.#keys.forget(handle);
      return this.ask(name, request, cause).finally(() => this.#keys.forget(handle));
    }
    if (name === 'logout') this.#loggedOut();
    return name === 'login'
      ? this.#loggingIn(this.ask(name, request, cause))
      : this.ask(name, request, cause);
  }

  /** What the HSM has said of a key, until it is forgotten: `ended` is called before that. Undefined where it is not known. */
  hold(request: RequestOf<'describeKey'>, ended: () => void): (() => void) | undefined {
    if (this.#closed || this.#keys.find(request) === undefined) return undefined;
    return this.#keys.relyOn(request.handle, ended);
  }

  #describe(
    request: RequestOf<'describeKey'>,
    cause: string | undefined,
  ): Eventually<AnswerOf<'describeKey'>> {
    const known = this.#keys.find(request);
    if (known !== undefined) return known;
    const remember = this.#keys.begin(request);
    return this.ask('describeKey', request, cause).then((answer) => {
      remember(answer);
      return answer;
    });
  }

  #generate({ lengthBytes }: RequestOf<'generateRandom'>, cause: string | undefined): Eventually<Buffer> {
    return this.#random.take(lengthBytes, (bytes) =>
      this.ask('generateRandom', { lengthBytes: bytes }, cause),
    );
  }

  #loggingIn<T>(login: Promise<T>): Promise<T> {
    this.#keys.forgetAll();
    const logouts = this.#logouts;
    return login.then((answer) => {
      this.#loggedIn = logouts === this.#logouts && !this.#closed;
      return answer;
    });
  }

  #loggedOut(): void {
    this.#logouts++;
    this.#loggedIn = false;
    this.#keys.forgetAll();
    this.#random.discard();
  }

  /** A token object is no longer as it was. 0: any may be. */
  changed(handle: number): void {
    if (handle === 0) this.#keys.forgetAll();
    else this.#keys.forget(handle);
  }

  /** Everything is asked from now on. */
  close(): void {
    this.#loggedOut();
    this.#closed = true;
  }
}
