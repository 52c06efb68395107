import { Failure } from '../../../base/errors.js';
import { bitLength } from '../../../crypto/index.js';
import type { KeyInfo } from '../../../hsm/commands/key-info.js';
import type { HsmConnection } from '../../../hsm/hsm.js';
import type { ReadResult } from '../../../objects/reading.js';
import { CKA } from '../../../pkcs11/attributes.js';
import { CKO } from '../../../pkcs11/constants.js';
import { ulongOf } from '../../../pkcs11/template.js';
import { inBatches } from '../../batches.js';
import type { Terminal } from '../../terminal.js';
import type { CliCluster } from '../cluster.js';
import { agreed, INCONSISTENT } from '../names.js';
import { attributeRows, attributeTypes, pointOf } from './attributes.js';

/** `0x00000000001c0686`: 64 bits. */
export const keyReference = (handle: number): string => `0x${handle.toString(16).padStart(16, '0')}`;

/** What is known of a key: what HSMs say of it, and from one of them its attributes. */
export interface KnownKey {
  readonly handle: number;
  readonly infos: readonly KeyInfo[];
  readonly attributes: ReadonlyMap<number, Buffer>;
}

/** Reads a key that the logged-in crypto user sees, from the first HSM that has it. Throws what the HSM says. */
export async function readKey(cluster: CliCluster, handle: number): Promise<KnownKey> {
  const results = await cluster.group.each(async (connection) => ({
    connection,
    info: await connection.send('getKeyInfo', { handle }),
  }));
  const found = results.flatMap(({ result }) => (result.status === 'fulfilled' ? [result.value] : []));
  const [first] = found;
  if (first === undefined) {
    const [failure] = results.flatMap(({ result }) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    throw failure;
  }
  return {
    handle,
    infos: found.map(({ info }) => info),
    attributes: await attributesOf(first.connection, handle),
  };
}

/** What HSMs say of a key that is gone. */
const gone: ReadonlySet<string> = new Set(['CKR_KEY_HANDLE_INVALID', 'CKR_OBJECT_HANDLE_INVALID']);

/** Reads many keys, and says on a terminal how far it is. Keys that go meanwhile are left out. */
export async function readKeys(
  cluster: CliCluster,
  handles: readonly number[],
  terminal: Pick<Terminal, 'progress'>,
): Promise<KnownKey[]> {
  const keys = await inBatches(handles, 'keys', terminal, async (handle) => {
    try {
      return await readKey(cluster, handle);
    } catch (error) {
      if (error instanceof Failure && gone.has(error.code)) return undefined;
      throw error;
    }
  });
  return keys.filter((key) => key !== undefined);
}

async function attributesOf(connection: HsmConnection, handle: number): Promise<Map<number, Buffer>> {
  const read = await connection.send('getAttributes', { handle, types: attributeTypes });
  return new Map(
    attributeTypes.flatMap((type, at) => {
      const value: ReadResult | undefined = read[at];
      return Buffer.isBuffer(value) ? [[type, value] as const] : [];
    }),
  );
}

/** Raw keys (FIPS 204, table 2), which the HSM keeps in DER. */
const mlDsaBytes: Readonly<Record<number, { readonly public: number; readonly private: number }>> = {
  1: { public: 1312, private: 2560 },
  2: { public: 1952, private: 4032 },
  3: { public: 2592, private: 4896 },
};

/** "secret = key bytes; private = PKCS#8 DER length; EC public = point length; RSA public = twice the modulus" (reference
 * management-tools, section 5.4). */
function keyLengthBytes({ attributes, infos }: KnownKey): number {
  const keyClass = ulongOf(attributes.get(CKA.CKA_CLASS)!);
  const set = attributes.get(CKA.CKA_CLOUDHSM_PARAMETER_SET);
  if (set !== undefined)
    return mlDsaBytes[ulongOf(set)]![keyClass === CKO.CKO_PUBLIC_KEY ? 'public' : 'private'];
  if (keyClass !== CKO.CKO_PUBLIC_KEY) return infos[0]!.materialBytes;
  const point = attributes.get(CKA.CKA_EC_POINT);
  return point === undefined ? 2 * (attributes.get(CKA.CKA_MODULUS)?.length ?? 0) : pointOf(point).length;
}

/** A key's attributes as they are shown, by their names. */
export function shownAttributes(key: KnownKey): Readonly<Record<string, unknown>> {
  const { attributes } = key;
  const shown: Record<string, unknown> = {};
  const modulus = attributes.get(CKA.CKA_MODULUS);
  const computed: Readonly<Record<number, number | undefined>> = {
    [CKA.CKA_VALUE_LEN]: keyLengthBytes(key),
    [CKA.CKA_MODULUS_BITS]: modulus && bitLength(modulus),
  };
  for (const { name, type, form, shows } of attributeRows) {
    const value = attributes.get(type);
    if (shows === 'computed') {
      if (computed[type] !== undefined) shown[name] = computed[type];
    } else if (value !== undefined && (value.length > 0 || shows === 'always'))
      shown[name] = form.show(value);
    else if (shows === 'always') shown[name] = name === 'id' ? '' : false;
  }
  return shown;
}

/** All that the CLI shows of a key. A session key is on one HSM and nowhere else. */
export function verboseKey(key: KnownKey, hsms: number): object {
  const { infos } = key;
  const coverage = infos[0]!.token ? (infos.length === hsms ? 'full' : INCONSISTENT) : 'session';
  const covered = (names: readonly string[][]) => {
    const all = [...new Set(names.flat())];
    return all.map((username) => ({
      username,
      'key-coverage': names.every((some) => some.includes(username)) ? coverage : INCONSISTENT,
    }));
  };
  return {
    'key-reference': keyReference(key.handle),
    'key-info': {
      'key-owners': covered(infos.map(({ owner }) => [owner.name])),
      'shared-users': covered(infos.map(({ sharedWith }) => sharedWith.map(({ name }) => name))),
      'key-quorum-values': {
        'manage-key-quorum-value': agreed(infos.map(({ quorum }) => quorum.manage)),
        'use-key-quorum-value': agreed(infos.map(({ quorum }) => quorum.use)),
      },
      'cluster-coverage': coverage,
    },
    attributes: shownAttributes(key),
  };
}

/** What a list shows of a key that is not asked for in full. */
export function briefKey(handle: number, label: string): object {
  return { 'key-reference': keyReference(handle), attributes: { label } };
}
