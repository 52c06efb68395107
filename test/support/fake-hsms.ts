import { commandFailure } from '../../src/base/errors.js';
import type { BackupArchive, BackupLocation } from '../../src/control-plane/backup-archive.js';
import type {
  ClusterTrust,
  HsmEvents,
  HsmHost,
  HsmIdentity,
  HsmPlace,
} from '../../src/control-plane/hsm-host.js';
import { newHsmIdentity, newRoots, type Roots } from '../../src/control-plane/identity/hardware.js';

interface FakeHsm {
  place: HsmPlace;
  /** What an application has written. */
  content: string[];
  activated: boolean;
  /** Limited-write mode. */
  limitsWrites: boolean;
  /** Somebody is logged in. */
  used?: boolean;
  /** Nobody writes any more. */
  retired?: boolean;
  trust?: ClusterTrust | undefined;
}

let roots: Promise<Roots> | undefined;
const identities = new Map<string, Promise<HsmIdentity>>();

/** Making RSA keys takes long: HSMs of one type share one identity per ordinal, over all tests. */
function identityOf({ hsmType, mode, ordinal }: HsmPlace, fresh: number): Promise<HsmIdentity> {
  const key = `${hsmType} ${mode} ${ordinal} ${fresh}`;
  let known = identities.get(key);
  if (known === undefined) {
    roots ??= newRoots();
    known = roots
      .then((all) => newHsmIdentity(all, { hsmType, mode }, { serial: 'SIM0001', partition: ordinal }))
      .then(({ identity }) => identity);
    identities.set(key, known);
  }
  return known;
}

export const fakeRoots = (): Promise<Roots> => {
  roots ??= newRoots();
  return roots;
};

/** HSMs that remember strings: what the API needs of real ones, and what tests look at. */
export class FakeHsms implements HsmHost {
  readonly running = new Map<string, FakeHsm>();
  /** By HSM id: what its next calls fail with. */
  readonly broken = new Map<string, string>();
  /** Ids of those that have failed, and whose content was not thrown away. */
  readonly setAside: string[] = [];
  /** HSMs of this type take no backup. */
  refusing: string | undefined;
  /** Takes over from the first failure of a host. */
  failing: string | undefined;
  #events: HsmEvents | undefined;

  watch(events: HsmEvents): void {
    this.#events = events;
  }

  #check(hsmId: string): void {
    const reason = this.failing ?? this.broken.get(hsmId);
    if (reason !== undefined) throw new Error(reason);
  }

  #of(hsmId: string): FakeHsm {
    this.#check(hsmId);
    const hsm = this.running.get(hsmId);
    if (hsm === undefined) throw new Error(`no HSM ${hsmId}`);
    return hsm;
  }

  async create(place: HsmPlace, container: Buffer | undefined): Promise<void> {
    this.#check(place.hsmId);
    if (container !== undefined && place.hsmType === this.refusing) throw new Error('the backup is refused');
    const inUse = [...this.running.values()].some(
      (hsm) => hsm.place.eniIp === place.eniIp && hsm.place.hsmId !== place.hsmId,
    );
    if (inUse) throw new Error(`${place.eniIp} is in use`);
    const restored = container === undefined ? undefined : (JSON.parse(container.toString()) as FakeHsm);
    this.running.set(place.hsmId, {
      place,
      content: restored?.content ?? [],
      activated: restored !== undefined,
      limitsWrites: place.limitsWrites,
      trust: restored?.trust,
    });
  }

  async start(place: HsmPlace): Promise<void> {
    try {
      this.#of(place.hsmId).limitsWrites = place.limitsWrites;
    } catch (error) {
      throw commandFailure('CORRUPT_STORE', (error as Error).message);
    }
  }

  async check(place: HsmPlace): Promise<void> {
    this.#of(place.hsmId);
  }

  identity(hsmId: string): Promise<HsmIdentity> {
    return identityOf(this.#of(hsmId).place, 0);
  }

  async initialize(hsmId: string, trust: ClusterTrust): Promise<void> {
    this.#of(hsmId).trust = trust;
  }

  async isActivated(hsmId: string): Promise<boolean> {
    return this.#of(hsmId).activated;
  }

  async isInUse(hsmId: string): Promise<boolean> {
    return this.#of(hsmId).used === true;
  }

  async limitWrites(hsmId: string, limited: boolean): Promise<void> {
    this.#of(hsmId).limitsWrites = limited;
  }

  async backUp(hsmId: string): Promise<Buffer> {
    const { content, trust } = this.#of(hsmId);
    return Buffer.from(JSON.stringify({ content, trust }));
  }

  async retire(hsmId: string): Promise<void> {
    this.#of(hsmId).retired = true;
  }

  async remove(hsmId: string, setsAside: boolean): Promise<void> {
    this.#check('');
    if (setsAside && this.running.has(hsmId)) this.setAside.push(hsmId);
    this.running.delete(hsmId);
  }

  /** As the PRECO's first change of password. */
  activate(hsmId: string): void {
    this.running.get(hsmId)!.activated = true;
    this.#events?.activated(hsmId);
  }

  /** As somebody's login. */
  use(hsmId: string): void {
    this.#events?.used(hsmId);
  }

  fail(hsmId: string): void {
    this.broken.set(hsmId, 'the HSM is broken');
    this.#events?.failed(hsmId, 'The HSM is broken.');
  }
}

/** An archive that forgets. */
export class FakeArchive implements BackupArchive {
  readonly kept = new Map<string, Buffer>();
  failing: string | undefined;

  #key({ account, region, backupId }: BackupLocation): string {
    if (this.failing !== undefined) throw new Error(this.failing);
    return `${account}/${region}/${backupId}`;
  }

  async store(at: BackupLocation, container: Buffer): Promise<void> {
    this.kept.set(this.#key(at), container);
  }

  async fetch(at: BackupLocation): Promise<Buffer> {
    const container = this.kept.get(this.#key(at));
    if (container === undefined) throw new Error(`no backup ${at.backupId}`);
    return container;
  }

  async copy(from: BackupLocation, to: BackupLocation): Promise<void> {
    await this.store(to, await this.fetch(from));
  }

  async remove(at: BackupLocation): Promise<void> {
    this.kept.delete(this.#key(at));
  }
}
