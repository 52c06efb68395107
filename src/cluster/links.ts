import type { Eventually } from '../base/eventually.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { DeviationListener } from '../objects/gate.js';
import type { ClientSwitches } from '../wire/hsm-frames.js';

/** How a client gets to one HSM. */
export interface HsmLink {
  readonly hsmId: string;
  /** The HSM is in this process: all its work runs on the same thread, so there is nothing to spread, and it is there at once. */
  readonly direct: boolean;
  connect(
    allowed: DeviationListener,
    switches: ClientSwitches,
    onLost: () => void,
    presented?: readonly Buffer[],
  ): Eventually<HsmConnection>;
}

/** The HSMs a client may use, which come and go. */
export interface HsmLinks {
  current(): readonly HsmLink[];
  /** Calls back when they change, until it is told to stop. */
  watch(changed: () => void): () => void;
}
