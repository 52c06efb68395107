import { rmSync } from 'node:fs';
import * as z from 'zod';
import { commandFailure, describeError } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import type { Log } from '../base/log.js';
import { type DeviationUse, ReadinessRecord } from '../cryptoki/readiness.js';
import { type DeviationId, isDeviationId, type Profile } from '../objects/deviations.js';
import type { Home } from './home.js';

const timeMs = z.number().int().min(0);
const fileSchema = z.object({
  formatVersion: z.literal(1),
  /** Of the engine that wrote it last. */
  profile: z.enum(['strict', 'compatible']),
  uses: z.array(
    z.object({
      deviation: z.string().refine(isDeviationId) as unknown as z.ZodType<DeviationId>,
      call: z.string(),
      program: z.string(),
      count: z.number().int().min(1),
      firstMs: timeMs,
      lastMs: timeMs,
    }),
  ),
});

/** readiness.json: what programs did that CloudHSM refuses, kept from one engine to the next until it is cleared. */
export interface ReadinessFile {
  readonly profile: Profile;
  readonly uses: readonly DeviationUse[];
}

/** Throws BAD_CONFIGURATION for a file that is there and cannot be read: a gate must not take it for an empty one. */
export function readReadinessFile(home: Home): ReadinessFile | undefined {
  const contents = readFileIfPresent(home.readinessFile);
  if (contents === undefined) return undefined;
  try {
    return fileSchema.parse(JSON.parse(contents.toString('utf8')));
  } catch (error) {
    const text = `${home.readinessFile} is not a readiness record of this version: \`cloudhsm-local report --clear\` begins a new one`;
    throw commandFailure('BAD_CONFIGURATION', text, error);
  }
}

export function removeReadinessFile(home: Home): void {
  rmSync(home.readinessFile, { force: true });
}

/** A new line of the report is on disk soon, counts from time to time: writing waits for the disk. */
const NEW_LINE_MS = 500;
const COUNTS_MS = 30_000;

/** The engine's record, which goes on where the last one ended. `close` writes what is not on disk yet. */
export function keepReadiness(
  home: Home,
  profile: Profile,
  log: Log,
): { record: ReadinessRecord; close: () => void } {
  let timer: NodeJS.Timeout | undefined;
  let isSoon = false;
  const save = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const file = { formatVersion: 1, profile, uses: record.uses() };
    try {
      writePrivateFile(home.readinessFile, `${JSON.stringify(file, null, 1)}\n`);
    } catch (error) {
      // A full disk costs the report, not the engine.
      log.warn({ file: home.readinessFile }, `the readiness record was not written: ${describeError(error)}`);
    }
  };
  const changed = (isNew: boolean): void => {
    if (timer !== undefined && (isSoon || !isNew)) return;
    clearTimeout(timer);
    isSoon = isNew;
    timer = setTimeout(save, isNew ? NEW_LINE_MS : COUNTS_MS);
    timer.unref();
  };
  const record = new ReadinessRecord(log, changed);
  record.restore(readReadinessFile(home)?.uses ?? []);
  return {
    record,
    close: () => {
      save();
    },
  };
}
