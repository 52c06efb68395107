import { type AuditRow, auditRows } from './audit/commands.js';
import { type AnyCommand, type CommandName, commands } from './commands/index.js';
import type { HsmSession } from './hsm-session.js';
import { recallsOf } from './leases.js';
import { lastingWrites } from './limited-writes.js';
import { guards, type Need, onlyLooks } from './quorum/services.js';

export type AnyGuard = (session: HsmSession, request: unknown) => readonly Need[] | undefined;

/** All rows of a command, looked up together. */
export interface Steps {
  /** Its place among the commands. */
  readonly at: number;
  readonly plain: AnyCommand;
  readonly guard: AnyGuard | undefined;
  /** It leaves the tokens that it finds. */
  readonly looks: boolean;
  /** Whether a request writes what lasts. */
  readonly writes: ((session: HsmSession, request: unknown) => boolean) | undefined;
  readonly row: AuditRow<unknown, unknown> | undefined;
  /** Which leases it ends. */
  readonly recalls: 'nothing' | 'key' | 'everything';
}

export const steps = Object.fromEntries(
  Object.entries(commands).map(([name, plain], at) => [
    name,
    {
      at,
      plain,
      guard: guards[name as CommandName],
      looks: onlyLooks.has(name as CommandName),
      writes: lastingWrites[name as CommandName],
      row: auditRows[name as CommandName],
      recalls: recallsOf(name as CommandName),
    },
  ]),
) as unknown as { readonly [N in CommandName]: Steps };

export const commandCount = Object.keys(steps).length;
