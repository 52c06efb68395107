import { CKA } from '../../../pkcs11/attributes.js';
import { CKO } from '../../../pkcs11/constants.js';
import { type Attribute, attribute, type Template } from '../../../pkcs11/template.js';
import { shown } from '../../command-row.js';
import { refused } from '../../failure.js';
import type { Terminal } from '../../terminal.js';
import type { CliCluster } from '../cluster.js';
import { attributeFrom, isComputed, isFlag } from './attributes.js';
import { readKeys, shownAttributes } from './description.js';

/** "key-reference=0xabc or one or more attr.<name>=<value>" (reference management-tools, section 6.3). */
export interface KeyFilter {
  readonly handle: number | undefined;
  readonly template: Template;
  /** Flags that must not be set: a key that cannot have one has not set it. */
  readonly unset: readonly number[];
  /** What keys must show that no HSM finds them by. */
  readonly shows: readonly { readonly name: string; readonly value: number }[];
}

/** Throws REFUSED. */
function referenceFrom(value: string): number {
  // A decimal handle, as the tools of SDK 3 print it, would be another key's in hexadecimal.
  const [, digits = ''] = /^0x([0-9a-f]{1,16})$/i.exec(value) ?? [];
  const number = Number.parseInt(digits, 16);
  if (!Number.isSafeInteger(number))
    throw refused(`'${shown(value)}' is no key reference: write it in hexadecimal, such as 0x1c0686`);
  return number;
}

/** Throws REFUSED. */
export function keyFilter(words: readonly string[]): KeyFilter {
  let handle: number | undefined;
  const template: Attribute[] = [];
  const unset: number[] = [];
  const shows: { name: string; value: number }[] = [];
  for (const word of words) {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    if (key === 'key-reference') {
      if (words.length > 1) throw refused('a key reference selects one key: nothing stands beside it');
      handle = referenceFrom(value);
    } else if (key.startsWith('attr.')) {
      const name = key.slice('attr.'.length);
      const entry = attributeFrom(name, value);
      if (isComputed(name)) shows.push({ name, value: Number(value) });
      else if (isFlag(name) && value === 'false') unset.push(entry.type);
      else template.push(entry);
    } else
      throw refused(`'${shown(word)}' is no filter: write key-reference=<reference> or attr.<name>=<value>`);
  }
  return { handle, template, unset, shows };
}

interface Found {
  readonly handle: number;
  /** Known already where an administrator asked. */
  readonly label?: string;
}

/** Keys that a filter matches and the logged-in user may know of, by their references. */
export async function findKeys(
  cluster: CliCluster,
  { handle, template, unset, shows }: KeyFilter,
  terminal: Pick<Terminal, 'progress'> = {},
): Promise<Found[]> {
  const isAdmin = cluster.login?.role === 'admin';
  const search = (wanted: Template) => (isAdmin ? anyKeys(cluster, wanted) : ownKeys(cluster, wanted));
  if (isAdmin && shows.length > 0) throw refused(`keys show their ${shows[0]!.name} to crypto users only`);
  let found = await search(template);
  if (handle !== undefined) found = found.filter((one) => one.handle === handle);
  for (const type of unset) {
    const set = new Set((await search([...template, attribute(type, true)])).map((one) => one.handle));
    found = found.filter((one) => !set.has(one.handle));
  }
  if (shows.length === 0) return found;
  const handles = found.map((one) => one.handle);
  const keys = await readKeys(cluster, handles, terminal);
  const matching = keys.filter((key) => {
    const attributes = shownAttributes(key);
    return shows.every(({ name, value }) => attributes[name] === value);
  });
  return matching.map((key) => ({ handle: key.handle }));
}

async function anyKeys(cluster: CliCluster, template: Template): Promise<Found[]> {
  const lists = await cluster.ofReachable('findAllKeys', { user: undefined, template });
  return union(lists.map((list) => list.map(({ handle, label }) => ({ handle, label }))));
}

const certificates = [attribute(CKA.CKA_CLASS, CKO.CKO_CERTIFICATE)];

async function ownKeys(cluster: CliCluster, template: Template): Promise<Found[]> {
  const lists = await cluster.onReachable(async (connection) => {
    const all = await connection.send('findObjects', { template });
    const others = new Set(await connection.send('findObjects', { template: certificates }));
    return all.filter((handle) => !others.has(handle)).map((handle) => ({ handle }));
  });
  return union(lists);
}

function union(lists: readonly (readonly Found[])[]): Found[] {
  const byHandle = new Map(lists.flat().map((one) => [one.handle, one]));
  return [...byHandle.values()].sort((one, other) => one.handle - other.handle);
}

/** The one key that a filter must match. Throws REFUSED. */
export async function selectKey(cluster: CliCluster, words: readonly string[]): Promise<number> {
  const found = await findKeys(cluster, keyFilter(words));
  const [only] = found;
  if (found.length !== 1 || only === undefined) {
    throw refused(
      `Key selection criteria matched ${found.length} keys. Refine selection criteria to select a single key.`,
    );
  }
  return only.handle;
}
