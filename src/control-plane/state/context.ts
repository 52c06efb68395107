import type { Log } from '../../base/log.js';
import type { Turns } from '../../base/turns.js';
import type { Gate } from '../../objects/gate.js';
import type { BackupArchive } from '../backup-archive.js';
import type { HsmHost } from '../hsm-host.js';
import type { Input, OperationName, Output } from '../service/operations.js';
import type { Catalogue } from './catalogue.js';
import type { PageTokens } from './pages.js';
import type { Realm } from './records.js';
import type { ControlPlaneSettings } from './settings.js';
import type { Time } from './time.js';

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
