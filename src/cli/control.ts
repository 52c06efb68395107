import { chmodSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { commandFailure, describeError, type Failure } from '../base/errors.js';
import { originForm } from '../base/http.js';
import type { Log } from '../base/log.js';
import { requireSocketPath } from '../base/sockets.js';
import type { Hsm } from '../hsm/hsm.js';
import { type AuditTrails, auditAnswer } from './audit-answer.js';
import type { ListedBackup } from './backups.js';
import { type Answer, faultRoute } from './fault-routes.js';
import type { Home } from './home.js';
import { mergedMetrics } from './merged-metrics.js';
import type { ReadinessReport } from './report.js';
import { type EngineStatus, type SaidOfHsms, type UserLists, usersOf } from './status.js';

/*
 * How the commands talk to a running engine: HTTP on a Unix socket (0600) in its home. docs/CONFIGURATION.md has a row per request. A
 * process of one HSM has a socket of its own, without the report.
 */

const ANSWER_TIMEOUT_MS = 5000;
const BACKUP_TIMEOUT_MS = 60_000;
/** Whoever asked gives up earlier. */
const FORWARDED_TIMEOUT_MS = 120_000;
const nothingThere: Answer = { code: 404, body: { error: 'no such resource' } };

/** What the engine lets others see and do through the control socket. */
export interface Controlled {
  status(): Promise<EngineStatus>;
  readonly report?: () => ReadinessReport;
  readonly clearReport?: () => void;
  /** HSMs of this process: they can be made to fail. */
  hsms(): readonly Hsm[];
  /** Of an engine that has a control plane. */
  readonly backups?: (() => readonly ListedBackup[]) | undefined;
  metrics(): string;
  /** HSMs in processes of their own, by id: what is asked of them, they are asked. */
  readonly processes?: () => ReadonlyMap<string, Listening>;
  /** Of a process of one HSM. */
  readonly backUp?: () => AsyncIterable<Buffer>;
}

export async function serveControl(
  socketPath: string,
  engine: Controlled,
  log: Log,
): Promise<{ server: Server; stopRequested: Promise<void> }> {
  let requestStop: () => void = () => undefined;
  const stopRequested = new Promise<void>((resolve) => {
    requestStop = resolve;
  });
  const routes: Record<string, () => Answer | Promise<Answer>> = {
    'GET /status': async () => ({ code: 200, body: await engine.status() }),
    'GET /users': async () => {
      const elsewhere = await fromAll((one) => askEngine<UserLists>(one, 'GET', '/users'));
      return { code: 200, body: Object.assign(usersOf(engine.hsms()), ...elsewhere) };
    },
    'GET /report': () => (engine.report ? { code: 200, body: engine.report() } : nothingThere),
    'GET /backups': () => ({ code: 200, body: engine.backups?.() ?? [] }),
    'DELETE /report': () => {
      if (engine.clearReport === undefined) return nothingThere;
      engine.clearReport();
      return { code: 200, body: {} };
    },
    'POST /shutdown': () => {
      setImmediate(requestStop);
      return { code: 202, body: {} };
    },
  };
  const trails = (): AuditTrails => new Map(engine.hsms().map((hsm) => [hsm.settings.id, hsm.audit]));
  const processes = () => engine.processes?.() ?? new Map<string, Listening>();
  /** One that does not run says nothing. */
  const fromAll = async <T>(ask: (process: Listening) => Promise<T>): Promise<T[]> => {
    const asked = await Promise.allSettled([...processes().values()].map(ask));
    return asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  };
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    const { method = '' } = incoming;
    const url = originForm(incoming.url ?? '');
    const [, ofHsm = ''] = /^\/(?:logs|hsms)\/([\w-]+)\//.exec(url) ?? [];
    const process = processes().get(ofHsm);
    if (process !== undefined) {
      ask(process, method, url, FORWARDED_TIMEOUT_MS).then(
        ({ code = 500, body }) =>
          outgoing.writeHead(code, { 'content-type': 'application/json', connection: 'close' }).end(body),
        (error) => outgoing.writeHead(503, { connection: 'close' }).end(describeError(error)),
      );
      return;
    }
    const answer = ({ code, body }: Answer): void => {
      outgoing
        .writeHead(code, { 'content-type': 'application/json', connection: 'close' })
        .end(JSON.stringify(body));
    };
    if (method === 'GET' && url === '/metrics') {
      const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', connection: 'close' };
      void fromAll((one) => askEngineText(one, 'GET', '/metrics')).then((elsewhere) =>
        outgoing.writeHead(200, headers).end(mergedMetrics([engine.metrics(), ...elsewhere])),
      );
      return;
    }
    if (method === 'GET' && url === '/backup' && engine.backUp !== undefined) {
      const pieces = Readable.from(engine.backUp());
      // Cut off, it is no backup.
      pipeline(pieces, outgoing.writeHead(200, { connection: 'close' }), (error) => {
        if (error) log.warn(`a backup was not finished: ${describeError(error)}`);
      });
      return;
    }
    if (method === 'GET' && /^\/logs(\/|$)/.test(url)) {
      Promise.resolve()
        .then(() => auditAnswer(trails(), url))
        .then(async (body) => {
          if (url !== '/logs') return body;
          const elsewhere = await fromAll((one) => askEngine<string[]>(one, 'GET', url));
          return [...(body as string[]), ...elsewhere.flat()];
        })
        .then((body) => answer(body === undefined ? nothingThere : { code: 200, body }))
        .catch((error) => answer({ code: 500, body: describeError(error) }));
      return;
    }
    const answered = async (): Promise<Answer> =>
      routes[`${method} ${url}`]?.() ?? (await faultRoute(engine.hsms(), method, url)) ?? nothingThere;
    answered()
      .then(answer)
      .catch((error: unknown) => answer({ code: 500, body: describeError(error) }));
  });
  server.on('clientError', (error, socket) => {
    log.debug({ peer: 'control' }, error.message);
    socket.destroy();
  });
  requireSocketPath(socketPath);
  rmSync(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  chmodSync(socketPath, 0o600);
  server.on('close', () => rmSync(socketPath, { force: true }));
  return { server, stopRequested };
}

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

function ask(home: Listening, method: string, path: string, timeoutMs: number): Promise<Asked> {
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

/** Asks the engine that runs on `home`. Throws NOT_RUNNING, and ALREADY_RUNNING when it runs and does not answer. */
export async function askEngineText(
  home: Listening,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<string> {
  const { code, body } = await ask(home, method, path, timeoutMs);
  const text = body.toString('utf8');
  if (code === 500) throw commandFailure('CORRUPT_STORE', text);
  return text;
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
