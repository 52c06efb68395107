import type { ClusterKind } from '../base/cluster-kind.js';

/** Where an HSM is and what it is. */
export interface HsmPlace extends ClusterKind {
  readonly hsmId: string;
  readonly clusterId: string;
  /** 1 to 63; no two HSMs that a cluster has at the same time have the same. */
  readonly ordinal: number;
  /** Where it listens. */
  readonly eniIp: string;
  /** Whether it begins in limited-write mode. */
  readonly limitsWrites: boolean;
}

/** What an HSM that is in no cluster yet shows of itself, PEM (reference section 7.1). */
export interface HsmIdentity {
  readonly clusterCsr: string;
  readonly hsmCertificate: string;
  readonly awsHardwareCertificate: string;
  readonly manufacturerHardwareCertificate: string;
}

/** What a cluster gets from its owner, PEM: its certificate, and what it verifies under. */
export interface ClusterTrust {
  readonly certificate: string;
  readonly trustAnchor: string;
}

/** What the API learns from HSMs without asking. */
export interface HsmEvents {
  /** The PRECO `admin` has changed the first password. */
  activated(hsmId: string): void;
  /** A client has logged in. */
  used(hsmId: string): void;
  /** The HSM is broken for good and has to be replaced; `reason` is for people. */
  failed(hsmId: string, reason: string): void;
}

/**
 * What the API needs of whatever runs HSMs. Every method is idempotent: after a crash the API calls again what it does not
 * know to be done. A rejection leaves the API where it is; it tries again later.
 */
export interface HsmHost {
  /** Once, before anything else. */
  watch(events: HsmEvents): void;
  /**
   * Makes an HSM and lets it listen: a new one, or one with the content of a backup's container. What an earlier attempt
   * has left of it is discarded.
   */
  create(place: HsmPlace, container: Buffer | undefined): Promise<void>;
  /** Lets an HSM that was made before this process began run again. */
  start(place: HsmPlace): Promise<void>;
  /**
   * Whether an HSM that was made works: rejects with what is wrong. What can be mended without losing anything is, such as
   * an HSM that is not running, or does not listen any more.
   */
  check(place: HsmPlace): Promise<void>;
  /** Of an HSM of an uninitialised cluster: the same each time. */
  identity(hsmId: string): Promise<HsmIdentity>;
  initialize(hsmId: string, trust: ClusterTrust): Promise<void>;
  /** Whether `activated` has been due, for the time that nobody listened. */
  isActivated(hsmId: string): Promise<boolean>;
  /** Whether a client is logged in now. */
  isInUse(hsmId: string): Promise<boolean>;
  /** Limited-write mode (reference section 8.6), on or off, for as long as the HSM runs: once it is on, writes that were under way are done. */
  limitWrites(hsmId: string, limited: boolean): Promise<void>;
  /** The HSM's content in a container that only HSMs can open. */
  backUp(hsmId: string): Promise<Buffer>;
  /** Lets no client use the HSM any more: what it has then is what its last backup has. */
  retire(hsmId: string): Promise<void>;
  /**
   * Takes the HSM away with all it keeps, or sets aside what it keeps: of one that has failed, somebody may be able to mend it.
   * One that is not there is no failure.
   */
  remove(hsmId: string, setsAside: boolean): Promise<void>;
}
