import type { ClusterSettings } from '../../cluster/cluster.js';
import type { Member, Members } from '../../wire/hsm-frames.js';

/** Which HSMs a cluster has: those of this process, and those that others have. */
export interface Roster {
  /** `own` are those of this process. */
  members(settings: ClusterSettings, own: readonly Member[]): Members;
  /** HSMs of this process have come or gone, or listen elsewhere. */
  changed(own: readonly Member[]): void;
}

/** Clients take only lists that are newer than theirs, whichever process made them. */
export const nextVersion = (version: number): number => Math.max(version + 1, Math.floor(Date.now() / 1000));

const membersOf = (version: number, settings: ClusterSettings, hsms: readonly Member[]): Members => {
  const { id: clusterId, hsmType, mode } = settings;
  return { version, clusterId, hsmType, mode, hsms: [...hsms] };
};

/** All HSMs are in this process. */
export class OwnRoster implements Roster {
  #version = 0;

  members(settings: ClusterSettings, own: readonly Member[]): Members {
    return membersOf(this.#version, settings, own);
  }

  changed(): void {
    this.#version = nextVersion(this.#version);
  }
}

/** Of a process of one HSM: whoever has started it knows the others. */
export class ToldRoster implements Roster {
  #told: Members | undefined;

  constructor(private readonly tell: (own: readonly Member[]) => void) {}

  hear(members: Members): void {
    this.#told = members;
  }

  members(settings: ClusterSettings, own: readonly Member[]): Members {
    return this.#told ?? membersOf(0, settings, own);
  }

  changed(own: readonly Member[]): void {
    this.tell(own);
  }
}
