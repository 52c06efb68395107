import * as z from 'zod';
import { describeError } from '../base/errors.js';
import { certificateBlocks } from '../base/pem.js';
import { authorityKeyKinds, type Certificate, CryptoError, parseCertificate } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import type { RecordStore } from '../store/record-store.js';
import { settingKey } from './setting-rows.js';
import type { Write } from './users.js';

/*
 * Mutual TLS between clients and an HSM (reference management-tools, section 6.2, "cluster mtls"): the authorities that an admin
 * has registered, and whether a client must have a certificate of one of them.
 */

/** "hsm2m only; ≤ 2 anchors; chain ≤ 6,980 bytes". */
export const MOST_ANCHORS = 2;
export const ANCHOR_BYTES = 6980;
/** Certificates between a client's and the anchor. */
const LONGEST_CHAIN = 8;

export const enforcementLevels = ['none', 'cluster'] as const;
export type EnforcementLevel = (typeof enforcementLevels)[number];

export interface TrustAnchor {
  readonly reference: number;
  /** PEM: the authority first, then those that certify it. */
  readonly certificate: string;
}

const settingSchema = z.object({
  level: z.enum(enforcementLevels),
  anchors: z
    .array(z.object({ reference: z.number().int().min(1).max(MOST_ANCHORS), certificate: z.string() }))
    .max(MOST_ANCHORS),
});
type Setting = z.infer<typeof settingSchema>;

const SETTING = settingKey('mutual-tls');
const NOTHING: Setting = { level: 'none', anchors: [] };

const isValidAt = ({ notBeforeMs, notAfterMs }: Certificate, nowMs: number): boolean =>
  nowMs >= notBeforeMs && nowMs <= notAfterMs;

/** The certificates of an anchor: "in hierarchical order", the issuing authority first. Throws an Error that says what is wrong. */
function parseAnchor(text: string): readonly [Certificate, ...Certificate[]] {
  if (Buffer.byteLength(text) > ANCHOR_BYTES) throw new Error(`it has more than ${ANCHOR_BYTES} bytes`);
  const chain = (certificateBlocks(text) ?? []).map((block) => parseCertificate(block));
  const [first, ...others] = chain;
  if (first === undefined) throw new Error('it must be certificates in PEM, and nothing else');
  for (const [at, certificate] of chain.entries()) {
    if (!certificate.isAuthority)
      throw new Error('it must have the extension Basic Constraints with CA:TRUE');
    if (!authorityKeyKinds.includes(certificate.keyKind))
      throw new Error(
        `a key of kind ${certificate.keyKind} is not accepted: ${authorityKeyKinds.join(', ')} are`,
      );
    const issuer = chain[at + 1] ?? certificate;
    if (!certificate.isIssuedBy(issuer))
      throw new Error('each certificate must be issued by the one behind it, and the last one by itself');
  }
  return [first, ...others];
}

/** Whether content of a backup is such a setting. */
export function isMutualTlsSetting(value: Buffer): boolean {
  try {
    for (const { certificate } of settingSchema.parse(JSON.parse(value.toString('utf8'))).anchors)
      parseAnchor(certificate);
    return true;
  } catch {
    return false;
  }
}

function parsePresented(presented: readonly Buffer[]): Certificate[] {
  try {
    return presented.slice(0, LONGEST_CHAIN).map((der) => parseCertificate(der));
  } catch (error) {
    if (error instanceof CryptoError) return [];
    throw error;
  }
}

/**
 * Whether the first of the certificates that a client presents was issued by an authority, or by one of the others that it
 * presents and that was. Whoever calls knows that the client has the key.
 */
export function leadsTo(presented: readonly Buffer[], authority: Certificate, nowMs: number): boolean {
  const [leaf, ...others] = parsePresented(presented);
  let current = leaf;
  for (let steps = 0; current !== undefined && steps < LONGEST_CHAIN; steps++) {
    const certificate: Certificate = current;
    if (!isValidAt(certificate, nowMs)) return false;
    if (certificate.isIssuedBy(authority)) return isValidAt(authority, nowMs);
    current = others.find((one) => one !== certificate && one.isAuthority && certificate.isIssuedBy(one));
  }
  return false;
}

/** One HSM's trust anchors and the level of their enforcement. */
export class MutualTls {
  #setting: Setting;
  #authorities: readonly Certificate[] = [];
  readonly #watchers = new Set<() => void>();
  #turn: Promise<void> = Promise.resolve();

  constructor(
    store: RecordStore,
    private readonly nowMs: () => number,
  ) {
    const stored = store.get('settings', SETTING);
    this.#setting = stored === undefined ? NOTHING : settingSchema.parse(JSON.parse(stored.toString('utf8')));
    this.#parse();
  }

  #parse(): void {
    this.#authorities = this.#setting.anchors.map(({ certificate }) => parseAnchor(certificate)[0]);
  }

  get anchors(): readonly TrustAnchor[] {
    return this.#setting.anchors;
  }

  get level(): EnforcementLevel {
    return this.#setting.level;
  }

  /** Calls back when anchors or the level have changed, until it is told to stop. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Whether a client with these certificates, DER, its own first, comes by mutual TLS. */
  isOfAnchor(presented: readonly Buffer[] | undefined): boolean {
    if (presented === undefined) return false;
    return this.#authorities.some((authority) => leadsTo(presented, authority, this.nowMs()));
  }

  /** Whether such a client may connect. */
  admits(presented: readonly Buffer[] | undefined): boolean {
    return this.level === 'none' || this.isOfAnchor(presented);
  }

  /** Changes come one after the other: each is made of what the one before it left. */
  #change(next: (setting: Setting) => Setting, write: Write): Promise<void> {
    const done = this.#turn.then(async () => {
      const setting = next(this.#setting);
      await write([{ table: 'settings', key: SETTING, value: Buffer.from(JSON.stringify(setting)) }]);
      this.#setting = setting;
      this.#parse();
      for (const changed of this.#watchers) changed();
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Registers an authority. Throws CKR_ARGUMENTS_BAD, CKR_DEVICE_MEMORY. */
  async register(certificate: string, write: Write): Promise<TrustAnchor> {
    let authority: Certificate;
    try {
      [authority] = parseAnchor(certificate);
    } catch (error) {
      throw ckr('CKR_ARGUMENTS_BAD', `the trust anchor cannot be registered: ${describeError(error)}`);
    }
    if (!isValidAt(authority, this.nowMs()))
      throw ckr('CKR_ARGUMENTS_BAD', 'the trust anchor cannot be registered: it is not valid now');
    let reference = 1;
    await this.#change(({ level, anchors }) => {
      if (this.#authorities.some(({ der }) => der.equals(authority.der)))
        throw ckr('CKR_ARGUMENTS_BAD', 'the trust anchor is registered already');
      if (anchors.length >= MOST_ANCHORS)
        throw ckr('CKR_DEVICE_MEMORY', `${MOST_ANCHORS} trust anchors are registered: deregister one first`);
      // The lowest that is free [guess].
      while (anchors.some((anchor) => anchor.reference === reference)) reference++;
      const all = [...anchors, { reference, certificate }];
      return { level, anchors: all.sort((one, other) => one.reference - other.reference) };
    }, write);
    return { reference, certificate };
  }

  /** Throws CKR_ARGUMENTS_BAD for a reference that there is not, CKR_ACTION_PROHIBITED for the last anchor under enforcement: nobody
   * could connect any more [guess]. */
  async deregister(reference: number, write: Write): Promise<void> {
    await this.#change(({ level, anchors }) => {
      const others = anchors.filter((anchor) => anchor.reference !== reference);
      if (others.length === anchors.length)
        throw ckr('CKR_ARGUMENTS_BAD', `there is no trust anchor with reference ${reference}`);
      if (others.length === 0 && level !== 'none')
        throw ckr(
          'CKR_ACTION_PROHIBITED',
          'it is the last trust anchor, and mutual TLS is enforced: set the enforcement level to none first',
        );
      return { level, anchors: others };
    }, write);
  }

  async enforce(level: EnforcementLevel, write: Write): Promise<void> {
    await this.#change(({ anchors }) => ({ level, anchors }), write);
  }
}
