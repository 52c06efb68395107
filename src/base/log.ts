import { dirname } from 'node:path';
import pino from 'pino';
import { makeFolder } from './files.js';

/** What a room may write. Never pass PINs, passwords, key bytes or plaintext. */
export type Log = Pick<pino.Logger, 'error' | 'warn' | 'info' | 'debug' | 'isLevelEnabled'>;

export const logLevels = ['error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** A log that appends JSON lines to `file` (mode 0600), or to stderr. Lines are written before the call returns:
 * the last line before a crash is the one that matters. */
export function openLog(level: LogLevel, file?: string): Log {
  if (file !== undefined) makeFolder(dirname(file), 0o700);
  const destination = pino.destination({ dest: file ?? 2, mode: 0o600, sync: true });
  // A full disk costs lines of the log, not the engine.
  destination.on('error', () => undefined);
  const lossy = {
    write: (line: string): void => {
      try {
        destination.write(line);
      } catch {
        // See above.
      }
    },
  };
  return pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, lossy);
}

export const silentLog: Log = pino({ level: 'silent' });
