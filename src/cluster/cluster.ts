import type { HsmType } from '../base/hsm-types.js';
import type { Hsm } from '../hsm/hsm.js';
import type { ClusterMode } from '../mechanisms/mechanism.js';
import type { DeviationListener } from '../objects/gate.js';
import { ClusterClient } from './cluster-client.js';

/** What tells one cluster from another. */
export interface ClusterSettings {
  readonly id: string;
  readonly hsmType: HsmType;
  readonly mode: ClusterMode;
}

/** A cluster whose HSMs run in this process. */
export class Cluster {
  constructor(
    readonly settings: ClusterSettings,
    readonly hsms: readonly Hsm[],
  ) {}

  /** A client of its own for one application: one login, one set of session keys. It uses all HSMs, or those that
   * `uses` picks; `allowed` learns of the deviations that they allow. */
  connect(uses: (hsm: Hsm) => boolean = () => true, allowed?: DeviationListener): ClusterClient {
    return new ClusterClient(this.hsms.filter(uses).map((hsm) => hsm.connect(allowed)));
  }

  async close(): Promise<void> {
    await Promise.all(this.hsms.map((hsm) => hsm.close()));
  }
}
