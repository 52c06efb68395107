import type { Eventually } from '../base/eventually.js';
import type { Created } from '../hsm/commands/create.js';
import type { RequestOf } from '../hsm/commands/index.js';
import { answerBytes, commandBytes } from './command-frames.js';
import type { KeyCommand } from './tls-stream.js';

/* The commands that make and destroy session keys, as the addon gives them again and again (native/addon/tls/asked-keys.cc). */

/** Stands for a handle that is another one each time: nothing else in a frame looks like it. */
export const ANY_HANDLE = 0x1a2b3c4d5e6f70;

const anyHandle = Buffer.alloc(8);
anyHandle.writeBigUInt64LE(BigInt(ANY_HANDLE));

/** Where bytes have that handle. */
export const handleIn = (bytes: Buffer): { readonly at: number; readonly bytes: number } => ({
  at: bytes.indexOf(anyHandle),
  bytes: anyHandle.length,
});

/** For a key that is no token object, and that the HSM destroys when it is told to. */
export function keyCommands(
  request: RequestOf<'generateKey'>,
  cause: string,
  deviations: readonly string[],
): { readonly make: KeyCommand; readonly destroy: KeyCommand } {
  const created = { handle: ANY_HANDLE, masked: undefined, isKey: true, destroyable: true };
  const made = answerBytes('generateKey', created, deviations);
  const { at, bytes } = handleIn(made);
  const destroy = commandBytes('destroyObject', { handle: ANY_HANDLE });
  const destroyed = answerBytes('destroyObject', undefined);
  return {
    make: {
      words: commandBytes('generateKey', request, cause),
      answer: made,
      outputAt: at,
      outputBytes: bytes,
    },
    destroy: {
      words: destroy.subarray(0, handleIn(destroy).at),
      answer: destroyed,
      outputAt: destroyed.length,
      outputBytes: 0,
    },
  };
}

/** Nobody comes for such a key after this. */
const UNWANTED_MS = 1_000;

interface AnticipatedKey {
  /** As in KeyCommand. */
  readonly words: Buffer;
  readonly answer: Promise<Created>;
}

/** Keys that the addon has asked for, and whose answers were not what it knows: whoever asks for such a key next gets the answer, as if he
 * had asked first. */
export class AnticipatedKeys {
  readonly #all = new Set<AnticipatedKey>();

  /** @param end ends a session key that nobody has come for */
  constructor(private readonly end: (handle: number) => Eventually<void>) {}

  add(words: Buffer, answer: Promise<Created>): void {
    const key = { words, answer };
    this.#all.add(key);
    // Whoever takes it hears of it.
    answer.catch(() => undefined);
    setTimeout(() => this.#giveUp(key), UNWANTED_MS).unref();
  }

  take(request: RequestOf<'generateKey'>, cause: string | undefined): Promise<Created> | undefined {
    if (this.#all.size === 0) return undefined;
    const words = commandBytes('generateKey', request, cause);
    const key = [...this.#all].find((one) => one.words.equals(words));
    if (key !== undefined) this.#all.delete(key);
    return key?.answer;
  }

  async #giveUp(key: AnticipatedKey): Promise<void> {
    if (!this.#all.delete(key)) return;
    try {
      const { handle } = await key.answer;
      await this.end(handle);
    } catch {
      // The HSM has refused it, or is lost.
    }
  }
}
