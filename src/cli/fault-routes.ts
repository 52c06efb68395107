import { describeError } from '../base/errors.js';
import { type Fault, faultKinds } from '../hsm/faults.js';
import type { Hsm } from '../hsm/hsm.js';

/** What the control socket answers. */
export interface Answer {
  readonly code: number;
  readonly body: unknown;
}

/*
 *   POST   /hsms/<id>/fault/<kind>   something goes wrong with the HSM
 *   DELETE /hsms/<id>/fault          it is healed, and has caught up
 */
const PATH = /^\/hsms\/([\w-]+)\/fault(?:\/([\w-]+))?$/;

/** Answers the control socket's requests that make an HSM of this process fail or heal it; undefined for other requests. */
export async function faultRoute(
  hsms: readonly Hsm[],
  method: string,
  url: string,
): Promise<Answer | undefined> {
  const [, id, kind] = PATH.exec(url) ?? [];
  if (id === undefined) return undefined;
  const hsm = hsms.find(({ settings }) => settings.id === id);
  if (hsm === undefined) {
    const error = `there is no HSM ${id} in this process; one that was tampered with may have been replaced`;
    return { code: 404, body: { error } };
  }
  try {
    if (method === 'DELETE' && kind === undefined) await hsm.heal();
    else if (method === 'POST' && (faultKinds as readonly string[]).includes(kind ?? ''))
      await hsm.fail(kind as Fault);
    else return { code: 400, body: { error: `a fault is one of ${faultKinds.join(', ')}` } };
  } catch (error) {
    return { code: 500, body: { error: describeError(error) } };
  }
  return { code: 200, body: { id, fault: hsm.condition ?? null } };
}
