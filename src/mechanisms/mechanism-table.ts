import type { ClusterKind } from '../base/cluster-kind.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKF } from '../pkcs11/constants.js';
import { mechanismName } from '../pkcs11/mechanisms.js';
import {
  isSelected,
  type MechanismOperation,
  type MechanismRow,
  mechanismOperations,
  type PartFor,
} from './mechanism.js';
import { missingInNode } from './ml-dsa.js';
import { mechanismRows } from './rows.js';

const operations = Object.keys(mechanismOperations) as MechanismOperation[];

interface Entry {
  readonly row: MechanismRow;
  /** CKF_… of the operations that the row has, and of those that this kind of cluster has. */
  readonly able: number;
  readonly allowed: number;
}

function hasPart(row: MechanismRow, operation: MechanismOperation): boolean {
  const { part } = mechanismOperations[operation];
  return row[part] !== undefined || (part === 'signature' && row.hashedSignature !== undefined);
}

function flagsOf(row: MechanismRow, has: (operation: MechanismOperation) => boolean): number {
  return operations
    .filter((operation) => hasPart(row, operation) && has(operation))
    .reduce((flags, operation) => flags | mechanismOperations[operation].flag, 0);
}

/** The mechanisms of one kind of cluster: what the list shows is what its HSMs do. */
export class MechanismTable {
  readonly #entries: ReadonlyMap<number, Entry>;
  /** In the order C_GetMechanismList gives them. A mechanism of which nothing is allowed is not there. */
  readonly list: readonly number[];

  constructor(readonly kind: ClusterKind) {
    const entries = mechanismRows.map((row): Entry => {
      const isAllowed = (operation: MechanismOperation): boolean =>
        isSelected(row.only?.[operation] ?? {}, kind);
      return { row, able: flagsOf(row, () => true), allowed: flagsOf(row, isAllowed) };
    });
    this.#entries = new Map(entries.map((entry) => [entry.row.type, entry]));
    this.list = entries.filter(({ allowed }) => allowed !== 0).map(({ row }) => row.type);
  }

  #entry(type: number): Entry {
    const entry = this.#entries.get(type);
    if (entry === undefined) {
      const why = missingInNode.has(type)
        ? `Node ${process.versions.node} cannot do ${mechanismName(type)}: run cloudhsm-local with Node 24`
        : `CloudHSM has no mechanism ${mechanismName(type)}`;
      throw ckr('CKR_MECHANISM_INVALID', why);
    }
    return entry;
  }

  #refuse(type: number, what: string): Error {
    const { mode, hsmType } = this.kind;
    return ckr('CKR_MECHANISM_INVALID', `${mechanismName(type)} ${what} in a ${mode} cluster of ${hsmType}`);
  }

  /** CK_MECHANISM_INFO. Throws CKR_MECHANISM_INVALID. */
  info(type: number): { ulMinKeySize: number; ulMaxKeySize: number; flags: number } {
    const { row, allowed } = this.#entry(type);
    if (allowed === 0) throw this.#refuse(type, 'is not available');
    // Digests run in client software (reference section 0): all else is the HSM's.
    const place = row.digest === undefined ? CKF.CKF_HW : 0;
    return {
      ulMinKeySize: row.minKeySize,
      ulMaxKeySize: row.maxKeySize,
      flags: allowed | place | (row.extraFlags ?? 0),
    };
  }

  /** The mechanism's row, if it may be used so in this kind of cluster. Throws CKR_MECHANISM_INVALID. */
  row(type: number, operation: MechanismOperation): MechanismRow {
    const { row, able, allowed } = this.#entry(type);
    const { flag } = mechanismOperations[operation];
    if ((able & flag) === 0)
      throw ckr('CKR_MECHANISM_INVALID', `${mechanismName(type)} is no mechanism to ${operation} with`);
    if ((allowed & flag) === 0) throw this.#refuse(type, `does not ${operation}`);
    return row;
  }

  /** The part of the row that does the operation inside the HSM. Throws CKR_MECHANISM_INVALID. */
  part<O extends MechanismOperation>(type: number, operation: O): PartFor<O> {
    const found = this.row(type, operation)[mechanismOperations[operation].part];
    // CKM_ECDSA_SHA256 and its like: the library hashes, and asks the HSM for CKM_ECDSA.
    if (found === undefined) throw ckr('CKR_MECHANISM_INVALID', `no HSM hashes for ${mechanismName(type)}`);
    return found as PartFor<O>;
  }
}

const tables = new Map<string, MechanismTable>();

/** The table of a kind of cluster, made once. */
export function mechanismsOf(kind: ClusterKind): MechanismTable {
  const name = `${kind.hsmType} ${kind.mode}`;
  let table = tables.get(name);
  if (table === undefined) {
    table = new MechanismTable({ hsmType: kind.hsmType, mode: kind.mode });
    tables.set(name, table);
  }
  return table;
}
