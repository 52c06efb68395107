import { CKA } from '../../../pkcs11/attributes.js';
import { CKO } from '../../../pkcs11/constants.js';
import { type Attribute, attribute, type Template } from '../../../pkcs11/template.js';
import { shown } from '../../command-row.js';
import { refused } from '../../failure.js';
import type { CliCluster } from '../cluster.js';
import { attributeFrom, isFlag } from './attributes.js';

/** "key-reference=0xabc or one or more attr.<name>=<value>" (reference management-tools, section 6.3). */
export interface KeyFilter {
  readonly handle: number | undefined;
  readonly template: Template;
  /** Flags that must not be set: a key that cannot have one has not set it. */
  readonly unset: readonly number[];
}

/** Throws REFUSED. */
export function keyFilter(words: readonly string[]): KeyFilter {
  let handle: number | undefined;
  const template: Attribute[] = [];
  const unset: number[] = [];
  for (const word of words) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    if (name === 'key-reference') {
      const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(value)?.[1];
      const number = Number.parseInt(digits ?? '', 16);
      if (!Number.isSafeInteger(number)) throw refused(`'${shown(value)}' is no key reference`);
      handle = number;
    } else if (name.startsWith('attr.')) {
      const entry = attributeFrom(name.slice('attr.'.length), value);
      if (isFlag(name.slice('attr.'.length)) && value === 'false') unset.push(entry.type);
      else template.push(entry);
    } else
      throw refused(`'${shown(word)}' is no filter: write key-reference=<reference> or attr.<name>=<value>`);
  }
  return { handle, template, unset };
}

interface Found {
  readonly handle: number;
  /** Known already where an administrator asked. */
  readonly label?: string;
}

/** Keys that a filter matches and the logged-in user may know of, by their references. */
export async function findKeys(
  cluster: CliCluster,
  { handle, template, unset }: KeyFilter,
): Promise<Found[]> {
  const found =
    cluster.login?.role === 'admin' ? await anyKeys(cluster, template) : await ownKeys(cluster, template);
  const these = handle === undefined ? found : found.filter((one) => one.handle === handle);
  return unset.length === 0 ? these : withoutFlags(cluster, these, unset);
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

async function withoutFlags(
  cluster: CliCluster,
  keys: readonly Found[],
  types: readonly number[],
): Promise<Found[]> {
  const kept: Found[] = [];
  for (const key of keys) {
    const [read] = await cluster.ofReachable('getAttributes', { handle: key.handle, types });
    if (read!.every((value) => !Buffer.isBuffer(value) || value[0] !== 1)) kept.push(key);
  }
  return kept;
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
