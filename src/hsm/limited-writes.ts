import { Failure } from '../base/errors.js';
import { conclude, type Eventually } from '../base/eventually.js';
import { isTokenObject } from '../objects/hsm-object.js';
import { CKA } from '../pkcs11/attributes.js';
import { type Template, templateBool } from '../pkcs11/template.js';
import type { CommandName, RequestOf } from './commands/index.js';
import type { HsmSession } from './hsm-session.js';

/*
 * Limited-write mode: while a cluster changes its type of HSM, its HSMs refuse what a backup that is being restored elsewhere would not
 * have: new and destroyed token keys, users, quorums, attributes of keys, second factors. Reading, and all work with keys, goes on, and so
 * do session keys (reference on the control plane, section 8.6).
 */

type Writes<Request> = (session: HsmSession, request: Request) => boolean;

const always = (): boolean => true;

/** Who may not know of an object is told that there is none. */
const ofTokenObject: Writes<{ readonly handle: number }> = (session, { handle }) => {
  const isAdmin = session.user.role === 'CO';
  const loaded = isAdmin ? session.hsm.objects.get(handle) : session.visible(handle);
  return loaded !== undefined && isTokenObject(loaded.visible);
};

const toToken = (template: Template): boolean => templateBool(template, CKA.CKA_TOKEN, false);
const makes: Writes<{ readonly template: Template }> = (_session, { template }) => toToken(template);

/**
 * THE row per command that writes what lasts: whether a request does. What becomes a token object only by a template of another key is
 * refused when it is inserted. Whatever takes back what failed half-way is done, and a login counts wrong passwords.
 */
const rows = {
  createUser: always,
  deleteUser: always,
  changePassword: always,
  insertMaskedUser: always,
  changeSecondFactor: always,
  registerPublicKey: always,
  setQuorumValue: always,
  setTokenTimeouts: always,
  getToken: always,
  approveToken: always,
  deleteTokens: always,
  registerTrustAnchor: always,
  deregisterTrustAnchor: always,
  setMtlsEnforcement: always,
  generateKey: makes,
  generateKeyPair: (_session, { publicTemplate, privateTemplate }) =>
    toToken(publicTemplate) || toToken(privateTemplate),
  createObject: makes,
  copyObject: (session, { handle, template }) =>
    templateBool(template, CKA.CKA_TOKEN, ofTokenObject(session, { handle })),
  deriveKey: makes,
  unwrapKey: makes,
  insertMaskedObject: always,
  copyMaskedObject: always,
  destroyObject: ofTokenObject,
  setAttributes: ofTokenObject,
  setKeyAttribute: (session, { handle, attribute: { type } }) =>
    type === CKA.CKA_TOKEN || ofTokenObject(session, { handle }),
  shareKey: always,
  unshareKey: always,
} as const satisfies { readonly [N in CommandName]?: Writes<RequestOf<N>> };

export type LastingWrite = keyof typeof rows;
export const lastingWrites: { readonly [N in CommandName]?: Writes<RequestOf<N>> } = rows;

/** The standard's answer: "the token is write-protected" (v2.40 base, section 5.1.6); CloudHSM's own is not known [guess]. A disk that
 * has become read-only has the same one. */
export class LimitedToReads extends Failure {
  constructor(text: string) {
    super('CKR_TOKEN_WRITE_PROTECTED', text);
  }
}

const refusal = (hsmId: string): Error =>
  new LimitedToReads(
    `${hsmId} is in limited-write mode while its cluster changes its type of HSM: wait until the cluster is ACTIVE`,
  );

/** Lets lasting writes through, or none: whoever then makes a backup misses nothing that somebody was told is done. */
export class LastingWrites {
  #limited = false;
  #underWay = 0;
  #waiting: (() => void)[] = [];

  constructor(private readonly hsmId: string) {}

  /** Resolves when those are done that were under way. */
  async limit(limited: boolean): Promise<void> {
    this.#limited = limited;
    if (limited && this.#underWay > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Does work that writes what lasts. Throws CKR_TOKEN_WRITE_PROTECTED. */
  run<T>(work: () => Eventually<T>): Eventually<T> {
    if (this.#limited) throw refusal(this.hsmId);
    this.#underWay++;
    return conclude(
      work,
      (answer) => {
        this.#ended();
        return answer;
      },
      (error) => {
        this.#ended();
        throw error;
      },
    );
  }

  #ended(): void {
    this.#underWay--;
    if (this.#underWay > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
