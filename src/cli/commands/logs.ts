import { commandFailure } from '../../base/errors.js';
import { type AuditRecord, recordText } from '../../hsm/audit/entry.js';
import { opcodes } from '../../hsm/audit/opcodes.js';
import type { AuditCheck } from '../../hsm/audit/trail.js';
import { hsmResponses } from '../../hsm/hsm-responses.js';
import { openAuditLogs } from '../audit-logs.js';
import type { Home } from '../home.js';
import { bold, progressLine } from '../terminal.js';

export interface LogsOptions {
  readonly verify?: boolean;
  readonly json?: boolean;
}

/** Exit status of `--verify` when a log was tampered with. */
const TAMPERED = 1;

/** A record for programs: the numbers of its names beside them. */
const recordJson = ({ opcode, response, ...rest }: AuditRecord): unknown => ({
  ...rest,
  opcode,
  opcodeNumber: opcodes[opcode],
  response: hsmResponses[response].number,
  responseText: hsmResponses[response].text,
});

const checkText = ({ records, first, problem }: AuditCheck): string =>
  problem === undefined ? `${records} records from ${first} on, unbroken` : `TAMPERED WITH: ${problem}`;

export async function logsCommand(
  home: Home,
  hsmId: string | undefined,
  options: LogsOptions,
): Promise<void> {
  const logs = await openAuditLogs(home);
  try {
    const known = await logs.hsmIds();
    if (hsmId !== undefined && !known.includes(hsmId))
      throw commandFailure('BAD_CONFIGURATION', `there is no HSM ${hsmId}: there are ${known.join(', ')}`);
    const answers: unknown[] = [];
    for (const id of hsmId === undefined ? known : [hsmId]) {
      if (options.verify) {
        const progress = progressLine();
        progress.step(`verifying the log of ${id}`);
        const check = await logs.check(id).finally(progress.done);
        if (check.problem !== undefined) process.exitCode = TAMPERED;
        answers.push({ hsmId: id, ...check });
        if (!options.json) console.log(`${id}: ${checkText(check)}`);
      } else {
        const records = await logs.read(id);
        answers.push({ hsmId: id, records: records.map(recordJson) });
        if (!options.json) console.log([bold(id), ...records.map(recordText)].join('\n\n'));
      }
    }
    if (options.json) console.log(JSON.stringify(answers, null, 2));
  } finally {
    await logs.close();
  }
}
