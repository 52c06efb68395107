import { type Fault, faultKinds } from '../hsm/faults.js';
import type { Hsm } from '../hsm/hsm.js';

interface FaultAnswer {
  readonly code: number;
  readonly body: unknown;
}

/** Answers the control socket's requests that make an HSM of this process fail, in the way of that kind, or heal it until it has caught up. */
export async function faultAnswer(
  hsms: readonly Hsm[],
  hsmId: string,
  heals: boolean,
  kind: string | undefined,
): Promise<FaultAnswer> {
  const hsm = hsms.find(({ settings }) => settings.id === hsmId);
  if (hsm === undefined) {
    const error = `there is no HSM ${hsmId} in this process; one that was tampered with may have been replaced`;
    return { code: 404, body: { error } };
  }
  if (heals && kind === undefined) await hsm.heal();
  else if (!heals && (faultKinds as readonly string[]).includes(kind ?? '')) await hsm.fail(kind as Fault);
  else return { code: 400, body: { error: `a fault is one of ${faultKinds.join(', ')}` } };
  return { code: 200, body: { id: hsmId, fault: hsm.condition ?? null } };
}
