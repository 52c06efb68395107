import type { Cluster } from '../cluster/cluster.js';
import type { ClusterClient } from '../cluster/cluster-client.js';
import type { Profile } from '../objects/template-validator.js';
import { ckr } from '../pkcs11/ckr.js';

/** A slot of an application: one configured cluster. */
export interface Slot {
  readonly index: number;
  readonly cluster: Cluster;
  readonly profile: Profile;
  /** HSMs that the application's configuration switches off, by id. */
  readonly disabledHsms?: ReadonlySet<string>;
}

/** One application's token in a slot: its connection to the cluster, and the login that all its sessions share. */
export class Token {
  readonly client: ClusterClient;
  #user: string | undefined;
  #loggingIn: Promise<void> | undefined;

  constructor(readonly slot: Slot) {
    this.client = slot.cluster.connect((hsm) => slot.disabledHsms?.has(hsm.settings.id) !== true);
  }

  get user(): string | undefined {
    return this.#user;
  }

  get loggedIn(): boolean {
    return this.#user !== undefined;
  }

  /** Of several logins at once one succeeds and the others find it done: CKR_USER_ALREADY_LOGGED_IN. */
  async login(name: string, password: string): Promise<void> {
    while (this.#loggingIn !== undefined) await this.#loggingIn.catch(() => undefined);
    if (this.#user !== undefined) throw ckr('CKR_USER_ALREADY_LOGGED_IN', `${this.#user} is logged in`);
    this.#loggingIn = this.client.login(name, password);
    try {
      await this.#loggingIn;
      this.#user = name;
    } finally {
      this.#loggingIn = undefined;
    }
  }

  async logout(): Promise<void> {
    if (this.#user === undefined) throw ckr('CKR_USER_NOT_LOGGED_IN', 'nobody is logged in');
    this.#user = undefined;
    await this.client.logout();
  }

  close(): void {
    this.#user = undefined;
    this.client.close();
  }
}
