import { type LibraryLogLevel, libraryLogLevels } from '../base/client-config.js';
import { type LineSink, noSink } from '../base/log-file.js';
import { type CallName, calls } from '../wire/calls.js';

/*
 * The log of CloudHSM's library, written on behalf of an application (reference 14.4):
 *
 *   2021-06-23T11:24:38.628Z ERROR [2517] ThreadId(3) [cloudhsm_pkcs11::session::C_OpenSession] C_OpenSession failed, …
 *   time                     level [pid]  thread      [module path]                             text
 */

/** The module in which a call is, by the first call of each chapter: those behind it in the table are there too.
 * "sign", "session" and "slots" and "decryption" were seen; the others follow them [guess]. */
const chapters: { readonly [Call in CallName]?: string } = {
  C_Initialize: 'general',
  C_GetSlotList: 'slots',
  C_OpenSession: 'session',
  C_CreateObject: 'object',
  C_EncryptInit: 'encryption',
  C_DecryptInit: 'decryption',
  C_DigestInit: 'digest',
  C_SignInit: 'sign',
  C_VerifyInit: 'verify',
  C_DigestEncryptUpdate: 'dual',
  C_GenerateKey: 'key',
  C_SeedRandom: 'random',
  C_GetFunctionStatus: 'general',
  C_WaitForSlotEvent: 'slots',
};

function pathsByCall(): ReadonlyMap<string, string> {
  let chapter = '';
  return new Map(
    calls.map(({ name }) => {
      chapter = chapters[name] ?? chapter;
      return [name, `cloudhsm_pkcs11::${chapter}::${name}`];
    }),
  );
}

const callPaths = pathsByCall();

/** One line, whatever a program put into a label or a user's name. */
const LINE_CHARACTERS = 2000;
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get through
  return text.slice(0, LINE_CHARACTERS).replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
}

/** The thread of lines that no call caused. */
export const MAIN_THREAD = 1;

export class LibraryLog {
  readonly #rank: number;

  constructor(
    private readonly sink: LineSink,
    level: LibraryLogLevel,
    private readonly pid: number,
    private readonly now: () => number = Date.now,
  ) {
    this.#rank = libraryLogLevels.indexOf(level);
  }

  writes(level: LibraryLogLevel): boolean {
    return libraryLogLevels.indexOf(level) <= this.#rank;
  }

  /** Writes a line for each text. No PIN, password, key byte or plaintext may be among them. */
  write(level: LibraryLogLevel, path: string, texts: readonly string[], thread = MAIN_THREAD): void {
    if (!this.writes(level)) return;
    const time = new Date(this.now()).toISOString();
    const head = `${time} ${level.toUpperCase()} [${this.pid}] ThreadId(${thread}) [${path}] `;
    this.sink.write(texts.map((text) => `${head}${oneLine(text)}\n`).join(''));
  }

  /** A call's failure: its cause, and the number that the program got. */
  writeFailure(level: LibraryLogLevel, call: string, cause: string, outcome: string, thread: number): void {
    this.write(level, callPaths.get(call) ?? call, [cause, outcome], thread);
  }

  close(): void {
    this.sink.close();
  }
}

export const silentLibraryLog = new LibraryLog(noSink, 'error', 0);
