import { describeError } from '../base/errors.js';
import { andThen, type Eventually, orElse } from '../base/eventually.js';
import { limits } from '../base/limits.js';
import { randomBytes } from '../crypto/index.js';
import { Application } from '../cryptoki/application.js';
import type { Library } from '../cryptoki/library.js';
import type { Client } from '../cryptoki/readiness.js';
import { type HandshakeStatus, type Hello, TOKEN_BYTES } from '../wire/handshake.js';

/** A hello that is answered with a reason and no channel. */
export class HandshakeRefused extends Error {
  constructor(
    readonly status: HandshakeStatus,
    message: string,
  ) {
    super(message);
    this.name = 'HandshakeRefused';
  }
}

interface Entry {
  readonly application: Application;
  readonly token: Buffer;
  channels: number;
  /** Connections there have been: they number the threads of its log. */
  connections: number;
}

export interface ClientStatus extends Client {
  readonly sessions: number;
  /** HSMs it relies on at the moment. */
  readonly hsms: readonly string[];
}

/** The programs connected to the engine, each with the token that lets its further channels join it. */
export class Applications {
  readonly #entries = new Map<string, Entry>();

  /** `openLibrary` makes the library of a new application; what it throws is told to the application's user. */
  constructor(
    private readonly openLibrary: (client: Client, configFile: string | undefined) => Eventually<Library>,
  ) {}

  /** A new application, or one more channel of an existing one. Throws, or rejects with, HandshakeRefused. */
  admit({
    token,
    pid,
    program,
    configFile,
  }: Hello): Eventually<Pick<Entry, 'application' | 'token' | 'connections'>> {
    if (token === undefined) return this.#create({ pid, program }, configFile);
    const entry = this.#entries.get(token.toString('hex'));
    if (entry === undefined) throw new HandshakeRefused('unknownApplication', 'the application has ended');
    if (entry.channels >= limits.channelsPerApplication) {
      throw new HandshakeRefused(
        'tooMany',
        `an application may have ${limits.channelsPerApplication} channels`,
      );
    }
    entry.channels++;
    entry.connections++;
    return entry;
  }

  #create(client: Client, configFile: string | undefined): Eventually<Entry> {
    this.#requireRoom();
    return andThen(this.#open(client, configFile), (library) => {
      const application = new Application(client, library);
      try {
        // Others may have come while its HSMs were looked for.
        this.#requireRoom();
      } catch (error) {
        application.close();
        application.log.close();
        throw error;
      }
      const entry = { application, token: randomBytes(TOKEN_BYTES), channels: 1, connections: 1 };
      this.#entries.set(entry.token.toString('hex'), entry);
      return entry;
    });
  }

  #requireRoom(): void {
    if (this.#entries.size >= limits.applications) {
      throw new HandshakeRefused(
        'tooMany',
        `${limits.applications} applications are connected: no more are served`,
      );
    }
  }

  #open(client: Client, configFile: string | undefined): Eventually<Library> {
    return orElse(
      () => this.openLibrary(client, configFile),
      (error) => {
        if (error instanceof HandshakeRefused) throw error;
        throw new HandshakeRefused('badConfiguration', describeError(error));
      },
    );
  }

  /** One of the application's channels is gone; with the last one it ends. */
  release(application: Application): void {
    for (const [key, entry] of this.#entries) {
      if (entry.application !== application) continue;
      entry.channels--;
      if (entry.channels > 0) return;
      this.#entries.delete(key);
      application.close();
      application.log.close();
      return;
    }
  }

  status(): ClientStatus[] {
    return [...this.#entries.values()].map(({ application }) => ({
      ...application.client,
      sessions: application.sessionCount,
      hsms: application.hsms,
    }));
  }
}
