import type { Log } from '../../base/log.js';
import type { Turns } from '../../base/turns.js';
import type { Gate } from '../../objects/gate.js';
import type { BackupArchive } from '../backup-archive.js';
import type { HsmHost } from '../hsm-host.js';
import type { Input, OperationName, Output } from '../service/operations.js';
import type { Catalogue } from './catalogue.js';
import type { PageTokens } from './pages.js';
import type { SubnetPlace } from './placement.js';
import type { Realm } from './records.js';
import type { Time } from './time.js';

export interface ControlPlaneSettings {
  /** States last as long as on AWS, or as long as their work takes. */
  readonly awsTiming: boolean;
  /** Whether clusters of hsm1.medium are made at all; where they are, the profile has a say (objects/deviations.ts). */
  readonly offerHsm1: boolean;
  /** Per account and region: "4 clusters, 6 HSMs", raisable. */
  readonly quotas: { readonly clusters: number; readonly hsms: number };
  /** How long what is DELETED stays listed: undocumented. */
  readonly tombstoneMs: number;
  /** How often HSMs are looked after: one that does not work three times in a row is replaced. */
  readonly healthCheckMs: number;
  /** Where subnets are, by id; one that is not here is given a place when it is first named. */
  readonly subnets: Readonly<Record<string, SubnetPlace>>;
  /** Two control planes on one machine that differ in it give HSMs different addresses. */
  readonly networkSeed: string;
}

export const standardSettings: ControlPlaneSettings = {
  awsTiming: false,
  offerHsm1: true,
  quotas: { clusters: 4, hsms: 6 },
  tombstoneMs: 3_600_000,
  healthCheckMs: 30_000,
  subnets: {},
  networkSeed: '',
};

/** What operations and jobs work with. */
export interface Context {
  readonly catalogue: Catalogue;
  readonly time: Time;
  readonly host: HsmHost;
  readonly archive: BackupArchive;
  readonly pages: PageTokens;
  readonly settings: ControlPlaneSettings;
  readonly log: Log;
  /**
   * By cluster: an HSM that comes and one that goes do not pass each other. The one that goes has then given what it has to the others,
   * or to the backup that the one that comes begins with.
   */
  readonly turns: Turns<string>;
}

/** What one request is answered with. */
export interface RequestContext extends Context {
  /** For what AWS refuses and clients commonly ask for. */
  readonly gate: Gate;
}

/** One operation: validated members in, members of the answer out. Throws ServiceError. */
export type Operation<N extends OperationName> = (
  input: Input<N>,
  caller: Realm,
  context: RequestContext,
) => Promise<Output<N>>;
