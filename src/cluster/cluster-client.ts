import { Failure } from '../base/errors.js';
import { andThen, type Eventually } from '../base/eventually.js';
import type { Created } from '../hsm/commands/create.js';
import type { AnswerOf, CommandName, RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { Role } from '../hsm/roles.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import type { Attribute, Template } from '../pkcs11/template.js';

/**
 * One application's view of a cluster: many HSMs that look like one.
 *
 * Commands on keys go to one HSM; session keys live there and nowhere else. What creates or removes a token object
 * goes to every HSM, at the same time, and is answered when it is durable on all of them (client-side
 * synchronisation, reference section 7).
 */
export class ClusterClient {
  /** HSM commands keep no state between them, so which HSM works is open; session keys pin it. */
  readonly #worker: HsmConnection;
  #role: Role = 'CU';

  constructor(private readonly connections: readonly HsmConnection[]) {
    const [first] = connections;
    if (first === undefined) throw ckr('CKR_TOKEN_NOT_PRESENT', 'the cluster has no HSM');
    this.#worker = first;
  }

  /** Logs in on every HSM: each has its own users, and counts wrong passwords on its own. */
  async login(name: string, password: string, role: Role = 'CU'): Promise<void> {
    const done: HsmConnection[] = [];
    try {
      for (const connection of this.connections) {
        await connection.send('login', { name, password, role });
        done.push(connection);
      }
    } catch (error) {
      for (const connection of done) void connection.send('logout', undefined);
      throw error;
    }
    this.#role = role;
  }

  async logout(): Promise<void> {
    await Promise.all(this.connections.map((connection) => connection.send('logout', undefined)));
  }

  /** A command that one HSM does. `cause` as in HsmConnection. */
  send<N extends CommandName>(name: N, request: RequestOf<N>, cause?: string): Eventually<AnswerOf<N>> {
    return this.#worker.send(name, request, cause);
  }

  /** The handle of the new key. */
  generateKey(mechanism: number, template: Template, cause?: string): Eventually<number> {
    return andThen(this.#worker.send('generateKey', { mechanism, template }, cause), (created) =>
      this.#settle(created),
    );
  }

  generateKeyPair(
    mechanism: number,
    publicTemplate: Template,
    privateTemplate: Template,
    cause?: string,
  ): Eventually<{ publicKey: number; privateKey: number }> {
    const request = { mechanism, publicTemplate, privateTemplate };
    const pair = this.#worker.send('generateKeyPair', request, cause);
    return andThen(pair, ({ publicKey, privateKey }) =>
      andThen(this.#settle(publicKey, privateKey), () => ({
        publicKey: publicKey.handle,
        privateKey: privateKey.handle,
      })),
    );
  }

  /** The handle of a key derived from another one. */
  deriveKey(handle: number, mechanism: Mechanism, template: Template, cause?: string): Eventually<number> {
    return andThen(this.#worker.send('deriveKey', { handle, mechanism, template }, cause), (created) =>
      this.#settle(created),
    );
  }

  createObject(template: Template, cause?: string): Eventually<number> {
    return andThen(this.#worker.send('createObject', { template }, cause), (created) =>
      this.#settle(created),
    );
  }

  copyObject(handle: number, template: Template, cause?: string): Eventually<number> {
    return andThen(this.#worker.send('copyObject', { handle, template }, cause), (created) =>
      this.#settle(created),
    );
  }

  setAttributes(handle: number, template: Template, cause?: string): Eventually<void> {
    // All HSMs allow the same: the one that surely has the object reports it.
    return this.#whereItIs(handle, (connection) =>
      connection.send('setAttributes', { handle, template }, connection === this.#worker ? cause : undefined),
    );
  }

  /** Sets one attribute of a key as CloudHSM's tools do; see the HSM's command. */
  setKeyAttribute(handle: number, attribute: Attribute): Eventually<void> {
    const onOne = (connection: HsmConnection): Eventually<Created | undefined> =>
      connection.send('setKeyAttribute', { handle, attribute });
    // An admin has no session keys, and no other HSM knows of a session key.
    if (this.#role === 'CO') return this.#onAll((connection) => andThen(onOne(connection), () => undefined));
    return this.#whereItIs(handle, (connection) =>
      andThen(
        onOne(connection),
        (promoted) =>
          promoted && andThen(this.#settle(promoted), () => connection.send('endSessionObject', { handle })),
      ),
    );
  }

  /** Lets another crypto user use a token key, on every HSM. */
  shareKey(handle: number, user: string): Promise<void> {
    return this.#onAll((connection) => connection.send('shareKey', { handle, user }));
  }

  unshareKey(handle: number, user: string): Promise<void> {
    return this.#onAll((connection) => connection.send('unshareKey', { handle, user }));
  }

  /** Brings new token objects to every HSM, or, if one of them fails, to none. Answers the first one's handle. */
  #settle(...created: readonly [Created, ...Created[]]): Eventually<number> {
    const [{ handle }] = created;
    const masked = created.flatMap((one) => (one.masked === undefined ? [] : [one.masked]));
    if (masked.length === 0) return handle;
    const inserts = this.connections.flatMap((connection) =>
      masked.map(async (object) => connection.send('insertMaskedObject', { masked: object })),
    );
    return Promise.allSettled(inserts).then(async (results) => {
      const failed = results.find((result) => result.status === 'rejected');
      if (failed === undefined) return handle;
      await Promise.allSettled(
        this.connections.flatMap((connection) =>
          created.map(async (one) => connection.send('withdrawObject', { handle: one.handle })),
        ),
      );
      if (failed.reason instanceof Failure) throw failed.reason;
      throw ckr('CKR_FUNCTION_FAILED', 'an HSM of the cluster did not take the new object', failed.reason);
    });
  }

  /** Removes an object from every HSM that has it. */
  destroyObject(handle: number): Eventually<void> {
    return this.#whereItIs(handle, (connection) => connection.send('destroyObject', { handle }));
  }

  /** Runs a command on an object on every HSM that has it: a token object's all, a session object's one. An HSM that does
   * not have it is no failure as long as another one had. */
  #whereItIs(handle: number, command: (connection: HsmConnection) => Eventually<void>): Eventually<void> {
    return andThen(this.#worker.send('locateObject', { handle }), ({ token }) =>
      token ? this.#onAll(command) : command(this.#worker),
    );
  }

  async #onAll(command: (connection: HsmConnection) => Eventually<void>): Promise<void> {
    const results = await Promise.allSettled(this.connections.map(async (connection) => command(connection)));
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    const isMissing = (error: unknown): boolean =>
      error instanceof Failure && error.code === 'CKR_OBJECT_HANDLE_INVALID';
    const missingEverywhere = failures.length === results.length ? failures[0] : undefined;
    const failure = failures.find((error) => !isMissing(error)) ?? missingEverywhere;
    if (failure !== undefined) throw failure;
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}
