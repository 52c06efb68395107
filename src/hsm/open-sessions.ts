import { minimal } from './audit/entry.js';
import type { AuditTrail } from './audit/trail.js';
import type { HsmSession } from './hsm-session.js';

/** The connections that an HSM has. */
export class OpenSessions {
  /** With what tells their clients that they are ended. */
  readonly #all = new Map<HsmSession, () => void>();

  constructor(private readonly audit: AuditTrail) {}

  get count(): number {
    return this.#all.size;
  }

  add(session: HsmSession, dropped: () => void): void {
    this.#all.set(session, dropped);
  }

  /** "Left without logout": session keys are dropped. */
  close(session: HsmSession): void {
    if (session.closed) return;
    this.#all.delete(session);
    if (session.loggedIn && session.user.role !== 'AU') {
      const left = {
        timeUs: this.audit.nowUs(),
        sessionHandle: session.handle,
        response: 'SUCCESS',
      } as const;
      void this.audit.appendLazily({ ...left, ...minimal('CN_APP_FINALIZE') });
    }
    session.close();
  }

  /** Ends those of clients, and tells them. */
  dropClients(which: (session: HsmSession) => boolean = () => true): void {
    for (const [session, dropped] of this.#all) {
      if (session.isPeer || !which(session)) continue;
      this.close(session);
      dropped();
    }
  }
}
