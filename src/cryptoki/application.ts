import { andThen, type Eventually } from '../base/eventually.js';
import { limits } from '../base/limits.js';
import { randomBytes } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Library } from './library.js';
import type { LibraryLog } from './library-log.js';
import type { Client } from './readiness.js';
import type { RepeatedKeys } from './repeated-keys.js';
import type { Repeats } from './repeats.js';
import { Session } from './session.js';
import type { SharedSessions } from './shared-sessions.js';
import { type Slot, Token } from './slot.js';

let lastId = 0;

/** A program that called C_Initialize: its tokens and sessions, from then to C_Finalize or its death. */
export class Application {
  readonly #tokens: readonly Token[];
  readonly #sessions = new Map<number, Session>();
  /** Handles begin at a random number, so that those of a former engine mean nothing to this one. */
  #nextHandle = 1 + (randomBytes(4).readUInt32LE() % 0x3fffffff);
  readonly #closing: (() => void)[] = [];
  /** Tells applications apart. */
  readonly id = ++lastId;
  /** Where what carries its frames can answer them. */
  repeats: Repeats | undefined;
  shared: SharedSessions | undefined;
  keys: RepeatedKeys | undefined;
  readonly slots: readonly Slot[];
  readonly log: LibraryLog;

  constructor(
    readonly client: Client,
    { slots, log, readiness, release }: Library,
  ) {
    this.slots = slots;
    if (release !== undefined) this.#closing.push(release);
    this.log = log;
    this.#tokens = slots.map(
      (slot) => new Token(slot, (deviation, call, times) => readiness.note(deviation, call, client, times)),
    );
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** HSMs that all of its tokens' clients rely on at the moment, by id. */
  get hsms(): readonly string[] {
    return this.#tokens.flatMap(({ client }) => client.up);
  }

  sessionsOf(token: Token): Session[] {
    return [...this.#sessions.values()].filter((session) => session.token === token);
  }

  /** Throws CKR_SLOT_ID_INVALID. */
  token(slotIndex: number): Token {
    const token = this.#tokens[slotIndex];
    if (token === undefined) throw ckr('CKR_SLOT_ID_INVALID', 'there is no such slot');
    return token;
  }

  /** Throws CKR_SESSION_HANDLE_INVALID. */
  session(handle: number): Session {
    const session = this.#sessions.get(handle);
    if (session === undefined) throw ckr('CKR_SESSION_HANDLE_INVALID', `there is no session ${handle}`);
    return session;
  }

  openSession(slotIndex: number, readWrite: boolean): Session {
    const token = this.token(slotIndex);
    if (this.#sessions.size >= limits.sessionsPerApplication) {
      throw ckr('CKR_SESSION_COUNT', `an application may have ${limits.sessionsPerApplication} sessions`);
    }
    const session = new Session(this.#nextHandle++, token, readWrite);
    this.#sessions.set(session.handle, session);
    return session;
  }

  /** Ends the session and its objects; with a token's last session the login ends too (v2.40 base, C_CloseSession). */
  closeSession(session: Session): Eventually<void> {
    this.#sessions.delete(session.handle);
    return andThen(session.close(), () => andThen(this.#endUnusedLogin(session.token), () => undefined));
  }

  /** A session may be closed while it logs in: then it was the last one, and the login ends as well. */
  async login(session: Session, name: string, password: string): Promise<void> {
    await session.token.login(name, password);
    if (await this.#endUnusedLogin(session.token)) {
      throw ckr('CKR_SESSION_CLOSED', 'the session was closed while it logged in');
    }
  }

  #endUnusedLogin(token: Token): Eventually<boolean> {
    if (!token.loggedIn || this.#hasSession(token)) return false;
    return token.logout().then(() => true);
  }

  #hasSession(token: Token): boolean {
    for (const session of this.#sessions.values()) if (session.token === token) return true;
    return false;
  }

  async logout(token: Token): Promise<void> {
    if (!token.loggedIn) throw ckr('CKR_USER_NOT_LOGGED_IN', 'nobody is logged in');
    for (const session of this.sessionsOf(token)) session.forgetKeys();
    await token.logout();
  }

  /** Calls `listener` when the application ends: for calls that wait. */
  onClose(listener: () => void): void {
    this.#closing.push(listener);
  }

  /** C_Finalize, or the program is gone. */
  close(): void {
    for (const session of this.#sessions.values()) {
      session.forgetKeys();
      session.stopSharing?.();
    }
    this.#sessions.clear();
    for (const token of this.#tokens) token.close();
    for (const listener of this.#closing.splice(0)) listener();
  }
}
