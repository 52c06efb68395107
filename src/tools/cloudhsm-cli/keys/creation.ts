import type { KeyAccess } from '../../../hsm/key-access.js';
import { QUORUM_MIN } from '../../../objects/key-quorum.js';
import { LABEL_CHARACTERS, labelCharacters } from '../../../objects/label.js';
import { CKA } from '../../../pkcs11/attributes.js';
import { type Attribute, attribute, type Template } from '../../../pkcs11/template.js';
import { flag, integer, many, optional, required } from '../../command-row.js';
import { refused } from '../../failure.js';
import type { CliCluster } from '../cluster.js';
import { templateFrom } from './attributes.js';
import { readKey, verboseKey } from './description.js';

/* What all commands that make a key have in common (reference management-tools, section 6.3). */

const session = flag(
  'Creates a session key that exists only in the current session. The key cannot be recovered after the session ends',
);
const shares = many('SHARE_CRYPTO_USERS', 'Space separated list of Crypto User usernames to share key with');
/** What a value may be says the HSM. */
const anyValue = integer(0, 255);
const quorumValue = (value: string, what: string) =>
  optional(value, `The quorum value for key ${what}`, anyValue);

export const creationOptions = {
  label: required<string>('LABEL', 'Label for the key'),
  session,
  attributes: many(
    'KEY_ATTRIBUTES',
    'Space separated list of key attributes in the form of KEY_ATTRIBUTE_NAME=KEY_ATTRIBUTE_VALUE for the generated key',
  ),
  'share-crypto-users': shares,
  'manage-key-quorum-value': quorumValue('MANAGE_KEY_QUORUM_VALUE', 'management operations'),
  'use-key-quorum-value': quorumValue('USE_KEY_QUORUM_VALUE', 'usage operations'),
};

export const pairOptions = {
  'public-label': required<string>('PUBLIC_KEY_LABEL', 'Label for the public key'),
  'private-label': required<string>('PRIVATE_KEY_LABEL', 'Label for the private key'),
  session,
  'public-attributes': many(
    'PUBLIC_KEY_ATTRIBUTES',
    'Space separated list of key attributes to set for the generated public key',
  ),
  'private-attributes': many(
    'PRIVATE_KEY_ATTRIBUTES',
    'Space separated list of key attributes to set for the generated private key',
  ),
  'share-crypto-users': shares,
  'manage-private-key-quorum-value': quorumValue(
    'MANAGE_PRIVATE_KEY_QUORUM_VALUE',
    'management operations for the private key',
  ),
  'use-private-key-quorum-value': quorumValue(
    'USE_PRIVATE_KEY_QUORUM_VALUE',
    'usage operations for the private key',
  ),
};

/** "Label ≤ 127 characters" (section 6.3). Throws REFUSED. */
function requireLabel(label: string): void {
  if (labelCharacters(Buffer.from(label)) > LABEL_CHARACTERS)
    throw refused(`a label has at most ${LABEL_CHARACTERS} characters`);
}

/** The template of a new key: what the command's own options say, then `--attributes`, which may not say it again. */
export function newKeyTemplate(
  label: string,
  isSession: boolean,
  own: Template,
  words: readonly string[],
): Attribute[] {
  const given = templateFrom(words);
  requireLabel(label);
  const said = [attribute(CKA.CKA_LABEL, label), ...own];
  if (isSession) said.push(attribute(CKA.CKA_TOKEN, false));
  const twice = given.find(({ type }) => said.some((one) => one.type === type));
  if (twice !== undefined) throw refused('an option and an attribute say the same: leave one of them out');
  // "Default true: token" (section 6.4); the HSM's own default is the standard's.
  const hasToken = [...said, ...given].some(({ type }) => type === CKA.CKA_TOKEN);
  return [...said, ...given, ...(hasToken ? [] : [attribute(CKA.CKA_TOKEN, true)])];
}

/** Whom a new key is shared with, and how many of them must approve what is done with it. "Both together" (section 6.8). Throws
 * REFUSED. */
export function newKeyAccess(
  sharedWith: readonly string[],
  manage: number | undefined,
  use: number | undefined,
): KeyAccess {
  if (manage === undefined && use === undefined) return { sharedWith };
  if (manage === undefined || use === undefined || Math.min(manage, use) < QUORUM_MIN)
    throw refused('The manage key and use key quorum values must be set to a value greater than 1');
  return { sharedWith, quorum: { manage, use } };
}

/** A key that was just made, as the CLI shows it. */
export async function madeKey(cluster: CliCluster, handle: number): Promise<object> {
  return verboseKey(await readKey(cluster, handle), cluster.group.connected.length);
}
