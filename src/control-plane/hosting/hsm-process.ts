import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, Failure } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { Members } from '../../wire/hsm-frames.js';
import {
  type Answer,
  type CallName,
  type EventName,
  fromHsm,
  type Given,
  type Happened,
  hsmCalls,
  hsmEvents,
  type ToHsm,
} from './hsm-messages.js';

/** How long a process that was told to end may take before it is made to. */
const END_MS = 3_000;

/** Of calls that are to be answered sooner than their rows say. */
export type Patience = { readonly [N in CallName]?: number };

type Listener = { readonly [N in EventName]: (...happened: Happened<N>) => void };

interface Pending {
  readonly name: CallName;
  readonly timer: NodeJS.Timeout;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** The process of one HSM, from the control plane's side. Whatever it sends ends this process at most. */
export class HsmProcess {
  readonly #pending = new Map<number, Pending>();
  /** Resolves when the process is no more. */
  readonly ended: Promise<void>;
  #nextId = 1;
  #gone: string | undefined;

  constructor(
    private readonly hsmId: string,
    private readonly child: ChildProcess,
    private readonly listener: Listener,
    private readonly log: Log,
    private readonly patience: Patience = {},
  ) {
    child.on('message', (message) => this.#receive(message));
    child.on('error', (error) => log.warn({ hsm: hsmId }, `the HSM's process: ${describeError(error)}`));
    this.ended = once(child, 'exit').then(
      ([code, signal]) => this.#lose(`its process ended with ${signal ?? `status ${code}`}`),
      (error) => {
        child.kill('SIGKILL');
        this.#lose(describeError(error));
      },
    );
  }

  get running(): boolean {
    return this.#gone === undefined;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  #lose(why: string): void {
    this.#gone = why;
    for (const { timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error(`${this.hsmId} does not answer: ${why}`));
    }
    this.#pending.clear();
  }

  #receive(message: unknown): void {
    try {
      const said = fromHsm.parse(message);
      if ('event' in said) this.#happened(said.event, said.happened);
      else this.#answered(said.id, said);
    } catch (error) {
      this.log.error({ hsm: this.hsmId }, `its process said what it cannot say: ${describeError(error)}`);
      this.child.kill('SIGKILL');
    }
  }

  #happened<N extends EventName>(name: N, happened: readonly unknown[]): void {
    const parsed = hsmEvents[name].parse(happened) as Happened<N>;
    (this.listener[name] as (...happened: Happened<N>) => void)(...parsed);
  }

  #answered(id: number, said: { answer: unknown } | { refused: string; code?: string | undefined }): void {
    const pending = this.#pending.get(id);
    // Too late: whoever asked does not wait any more.
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if ('refused' in said) {
      const { code, refused } = said;
      pending.reject(code === undefined ? new Error(refused) : new Failure(code, refused));
      return;
    }
    const { success, data, error } = hsmCalls[pending.name].answer.safeParse(said.answer);
    if (success) pending.resolve(data);
    else {
      pending.reject(error);
      throw error;
    }
  }

  /** Rejects with the failure that the HSM answers, and when it does not. */
  call<N extends CallName>(name: N, ...given: Given<N>): Promise<Answer<N>> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) throw new Error(`${this.hsmId} does not run: ${this.#gone}`);
      const id = this.#nextId++;
      const timeoutMs = this.patience[name] ?? hsmCalls[name].timeoutMs;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`${this.hsmId} has not answered ${name} within ${timeoutMs / 1000} s`));
      }, timeoutMs).unref();
      this.#pending.set(id, { name, timer, resolve: resolve as (answer: unknown) => void, reject });
      this.#send({ call: name, id, given });
    });
  }

  tell(members: Members): void {
    if (this.running) this.#send({ members });
  }

  /** A process that cannot be sent anything is about to end, which is noticed. */
  #send(message: ToHsm): void {
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  /** Ends the process: in good order if it can. */
  async end(): Promise<void> {
    if (!this.running) return;
    await this.call('close').catch((error) => this.log.warn({ hsm: this.hsmId }, describeError(error)));
    if (this.child.connected) this.child.disconnect();
    await Promise.race([this.ended, sleep(END_MS, undefined, { ref: false })]);
    if (this.running) this.child.kill('SIGKILL');
    await this.ended;
  }
}
