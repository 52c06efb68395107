import { Failure } from '../base/errors.js';
import type { CkrName } from '../pkcs11/ckr.js';
import type { Unavailability } from '../wire/hsm-frames.js';

/** What a program is answered when no other HSM can help: "calls fail (0x30 or 0x6 [guess])", and 0x6 for a busy HSM
 * (reference 14.2, 14.3). */
const answers: { readonly [Reason in Unavailability]: CkrName } = {
  unreachable: 'CKR_DEVICE_ERROR',
  throttled: 'CKR_FUNCTION_FAILED',
  joining: 'CKR_DEVICE_ERROR',
  zeroised: 'CKR_DEVICE_ERROR',
};

/** The HSM does nothing for anybody now; another one may. It is no answer to the command. */
export class HsmUnavailable extends Failure {
  constructor(
    readonly reason: Unavailability,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(answers[reason], message, options);
  }
}

/** It was too much for the HSM now: it has done nothing. */
export const isBusy = (error: unknown): boolean =>
  error instanceof HsmUnavailable && error.reason === 'throttled';

/** The HSM is lost, and with it the connection's session keys. */
export const isLoss = (error: unknown): boolean =>
  error instanceof HsmUnavailable && error.reason !== 'throttled';

/** Nobody listens where the HSM should be: it may not run yet. */
export class NobodyListens extends HsmUnavailable {
  constructor(message: string, options?: { cause?: unknown }) {
    super('unreachable', message, options);
  }
}

/** The HSM has nothing to do with a client that has no certificate of a registered trust anchor. */
export class NotAdmitted extends HsmUnavailable {
  constructor(hsmId: string) {
    super(
      'unreachable',
      `${hsmId} enforces mutual TLS: configure a client certificate of a registered trust anchor (--client-cert-hsm-tls-file and --client-key-hsm-tls-file)`,
    );
  }
}
