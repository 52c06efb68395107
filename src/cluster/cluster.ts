import type { ClusterKind } from '../base/cluster-kind.js';
import type { Hsm } from '../hsm/hsm.js';
import { type MechanismTable, mechanismsOf } from '../mechanisms/mechanism-table.js';
import type { DeviationListener } from '../objects/gate.js';
import { ClusterClient } from './cluster-client.js';

/** What tells one cluster from another. */
export interface ClusterSettings extends ClusterKind {
  readonly id: string;
}

/** A cluster whose HSMs run in this process. */
export class Cluster {
  readonly mechanisms: MechanismTable;

  constructor(
    readonly settings: ClusterSettings,
    readonly hsms: readonly Hsm[],
  ) {
    this.mechanisms = mechanismsOf(settings);
  }

  /** A client of its own for one application: one login, one set of session keys. It uses all HSMs, or those that
   * `uses` picks; `allowed` learns of the deviations that they allow. */
  connect(uses: (hsm: Hsm) => boolean = () => true, allowed?: DeviationListener): ClusterClient {
    return new ClusterClient(this.hsms.filter(uses).map((hsm) => hsm.connect(allowed)));
  }

  async close(): Promise<void> {
    await Promise.all(this.hsms.map((hsm) => hsm.close()));
  }
}
