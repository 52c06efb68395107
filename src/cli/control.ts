import { request } from 'node:http';
import { commandFailure, Failure } from '../base/errors.js';
import type { Home } from './home.js';
import type { EngineStatus, SaidOfHsms, UserLists } from './status.js';

/* How the commands ask a running engine, or a process of one HSM: what control-server.ts answers. */

const ANSWER_TIMEOUT_MS = 5000;
const BACKUP_TIMEOUT_MS = 60_000;

interface Asked {
  readonly code: number | undefined;
  readonly body: Buffer;
}

/** Where somebody listens for commands: an engine, or a process of one HSM. */
export type Listening = Pick<Home, 'directory' | 'controlSocket'>;

const notRunning = (home: Listening, cause: unknown): Failure =>
  commandFailure(
    'NOT_RUNNING',
    `no engine runs on ${home.directory}: start one with \`cloudhsm-local up\``,
    cause,
  );

const silent = (home: Listening, timeoutMs: number): Failure =>
  commandFailure(
    'ALREADY_RUNNING',
    `what runs on ${home.directory} has not answered within ${timeoutMs / 1000} s: try again, or end its process`,
  );

const notOurs = ({ directory }: Listening, cause: unknown): Failure =>
  commandFailure(
    'BAD_CONFIGURATION',
    `${directory} is another user's: what runs there cannot be asked`,
    cause,
  );

/** Asks, and takes any answer. Throws NOT_RUNNING, BAD_CONFIGURATION, and ALREADY_RUNNING where none comes in time. */
export function ask(home: Listening, method: string, path: string, timeoutMs: number): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(error.code === 'EACCES' ? notOurs(home, error) : notRunning(home, error));
    const options = { socketPath: home.controlSocket, method, path, timeout: timeoutMs };
    const asked = request(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', failed);
      response.on('end', () => resolve({ code: response.statusCode, body: Buffer.concat(parts) }));
    });
    asked.on('timeout', () => {
      reject(silent(home, timeoutMs));
      asked.destroy();
    });
    asked.on('error', failed);
    asked.end();
  });
}

/** What went wrong there, as it is said there. */
export interface WentWrong {
  readonly code: string | undefined;
  readonly error: string;
}

/** Asks the engine that runs on `home`. Throws NOT_RUNNING, ALREADY_RUNNING when it runs and does not answer, and what went wrong there. */
export async function askEngineText(
  home: Listening,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<string> {
  const { code, body } = await ask(home, method, path, timeoutMs);
  const text = body.toString('utf8');
  if (code !== 500) return text;
  const { code: failure, error } = JSON.parse(text) as WentWrong;
  throw failure === undefined ? new Error(error) : new Failure(failure, error);
}

/** What somebody who listens says of his HSMs. Throws NOT_RUNNING. */
export async function askOfHsms(listening: Listening): Promise<SaidOfHsms> {
  return {
    status: await askEngine<EngineStatus>(listening, 'GET', '/status'),
    users: await askEngine<UserLists>(listening, 'GET', '/users'),
  };
}

/** What the HSM of a process holds. Throws NOT_RUNNING; START_FAILED from an HSM that makes no backup. */
export async function askForBackup(process: Listening): Promise<Buffer> {
  const { code, body } = await ask(process, 'GET', '/backup', BACKUP_TIMEOUT_MS);
  if (code !== 200) throw commandFailure('START_FAILED', 'what runs there makes no backups');
  return body;
}

/** The same for what is answered as JSON. */
export async function askEngine<T>(
  home: Listening,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  timeoutMs?: number,
): Promise<T> {
  const text = await askEngineText(home, method, path, timeoutMs);
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw notRunning(home, error);
  }
}
