import { ckr } from '../pkcs11/ckr.js';
import type { User } from './user-records.js';

/** Who is logged in on which connections of an HSM. */
export class LiveLogins {
  readonly #connections = new Map<number, Set<object>>();

  add({ id }: User, connection: object): void {
    const connections = this.#connections.get(id);
    if (connections === undefined) this.#connections.set(id, new Set([connection]));
    else connections.add(connection);
  }

  remove({ id }: User, connection: object): void {
    const connections = this.#connections.get(id);
    connections?.delete(connection);
    if (connections?.size === 0) this.#connections.delete(id);
  }

  anybodyBut({ id }: Pick<User, 'id'>): boolean {
    return [...this.#connections.keys()].some((other) => other !== id);
  }

  /** "You cannot change the password of, or delete, a user who is logged in through another client" (reference
   * management-tools, section 1.3). Throws CKR_ACTION_PROHIBITED. */
  requireNone({ id, name }: Pick<User, 'id' | 'name'>, except?: object): void {
    for (const connection of this.#connections.get(id) ?? []) {
      if (connection !== except)
        throw ckr('CKR_ACTION_PROHIBITED', `${name} is logged in on another connection: log out there first`);
    }
  }
}
