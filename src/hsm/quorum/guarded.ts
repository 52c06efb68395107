import { andThen, orElse } from '../../base/eventually.js';
import type { AnyCommand } from '../commands/index.js';
import type { Need } from './services.js';

/** The command, with the tokens that it needs: they are used up when it succeeds, unless it only `looks`. */
export function guarded(command: AnyCommand, needs: readonly Need[], looks: boolean): AnyCommand {
  return {
    ...command,
    run: (session, request, cause, write) => {
      const taken = session.hsm.quorum.take(needs, session);
      const done = orElse(
        () => command.run(session, request, cause, write),
        (error) => {
          taken.giveBack();
          throw error;
        },
      );
      return andThen(done, (answer) => {
        if (looks) taken.giveBack();
        else taken.spend();
        return answer;
      });
    },
  };
}
