import { andThen, conclude, type Eventually } from '../../base/eventually.js';
import { hsmResponseTo } from '../hsm-responses.js';
import { LoginRefused } from '../login-refused.js';
import type { Write } from '../users.js';
import type { AuditRow } from './commands.js';
import type { AuditDetails, AuditEntry } from './entry.js';
import type { AuditTrail } from './trail.js';

/** Runs a command and logs it: in the write that makes it durable where there is one, else behind it. `run` is given that
 * write, which takes what is to be logged instead of `details`. */
export function audited<Request, Answer>(
  trail: AuditTrail,
  sessionHandle: number,
  row: AuditRow<Request, Answer>,
  request: Request,
  details: AuditDetails,
  run: (write: Write) => Eventually<Answer>,
): Eventually<Answer> {
  trail.requireRoom();
  const entry = (
    { opcode, logType, user, keys }: AuditDetails,
    response: AuditEntry['response'] = 'SUCCESS',
  ): AuditEntry => ({ timeUs: trail.nowUs(), sessionHandle, response, opcode, logType, user, keys });
  let written = false;
  const write: Write = (changes, about = [details]) =>
    trail
      .write(
        changes,
        about.map((one) => entry(one)),
      )
      .then(() => {
        written = true;
      });
  return conclude(
    () => run(write),
    (answer) => {
      if (written) return answer;
      const entries = (row.after?.(answer, request) ?? [details]).map((one) => entry(one));
      if (entries.length === 0) return answer;
      return andThen(row.lazy ? trail.appendLazily(...entries) : trail.write([], entries), () => answer);
    },
    (error) => {
      const failed = entry(details, hsmResponseTo(error));
      const kept = error instanceof LoginRefused ? trail.append(failed) : trail.appendLazily(failed);
      return andThen(kept, () => {
        throw error;
      });
    },
  );
}
