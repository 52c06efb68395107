import { chmodSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { commandFailure, describeError, type Failure } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Home } from './home.js';
import type { ReadinessReport } from './report.js';
import type { EngineStatus } from './status.js';

/*
 * How the commands talk to a running engine: HTTP on a Unix socket (0600) in its home.
 *
 *   GET  /status     EngineStatus
 *   GET  /report     ReadinessReport
 *   DELETE /report   the report begins anew
 *   GET  /logs…      audit logs (audit-logs.ts)
 *   GET  /metrics    what the engine counts, as Prometheus reads it
 *   POST /shutdown   202, then the engine ends
 */

const ANSWER_TIMEOUT_MS = 5000;

const noResource = { code: 404, body: { error: 'no such resource' } };

/** What the engine lets others see and do through the control socket. */
export interface Controlled {
  status(): EngineStatus;
  report(): ReadinessReport;
  clearReport(): void;
  /** What `path` asks of the audit logs; undefined if it asks for nothing there is. */
  logs(path: string): unknown;
  metrics(): string;
}

export async function serveControl(
  home: Home,
  engine: Controlled,
  log: Log,
): Promise<{ server: Server; stopRequested: Promise<void> }> {
  let requestStop: () => void = () => undefined;
  const stopRequested = new Promise<void>((resolve) => {
    requestStop = resolve;
  });
  const routes: Record<string, () => { code: number; body: unknown }> = {
    'GET /status': () => ({ code: 200, body: engine.status() }),
    'GET /report': () => ({ code: 200, body: engine.report() }),
    'DELETE /report': () => {
      engine.clearReport();
      return { code: 200, body: {} };
    },
    'POST /shutdown': () => {
      setImmediate(requestStop);
      return { code: 202, body: {} };
    },
  };
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    const { method, url = '' } = incoming;
    const answer = ({ code, body }: { code: number; body: unknown }): void => {
      outgoing
        .writeHead(code, { 'content-type': 'application/json', connection: 'close' })
        .end(JSON.stringify(body));
    };
    if (method === 'GET' && url === '/metrics') {
      const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', connection: 'close' };
      outgoing.writeHead(200, headers).end(engine.metrics());
      return;
    }
    if (method === 'GET' && /^\/logs(\/|$)/.test(url)) {
      Promise.resolve()
        .then(() => engine.logs(url))
        .then((body) => answer(body === undefined ? noResource : { code: 200, body }))
        .catch((error) => answer({ code: 500, body: describeError(error) }));
      return;
    }
    answer(routes[`${method} ${url}`]?.() ?? noResource);
  });
  server.on('clientError', (error, socket) => {
    log.debug({ peer: 'control' }, error.message);
    socket.destroy();
  });
  rmSync(home.controlSocket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(home.controlSocket, resolve);
  });
  chmodSync(home.controlSocket, 0o600);
  server.on('close', () => rmSync(home.controlSocket, { force: true }));
  return { server, stopRequested };
}

interface Answer {
  readonly code: number | undefined;
  readonly text: string;
}

const notRunning = (home: Home, cause: unknown): Failure =>
  commandFailure(
    'NOT_RUNNING',
    `no engine runs on ${home.directory}: start one with \`cloudhsm-local up\``,
    cause,
  );

function ask(
  home: Home,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  timeoutMs: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => reject(notRunning(home, error));
    const asked = request(
      { socketPath: home.controlSocket, method, path, timeout: timeoutMs },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', failed);
        response.on('end', () =>
          resolve({ code: response.statusCode, text: Buffer.concat(parts).toString('utf8') }),
        );
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    asked.on('error', failed);
    asked.end();
  });
}

/** Asks the engine that runs on `home`. Throws NOT_RUNNING. */
export async function askEngineText(
  home: Home,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<string> {
  const { code, text } = await ask(home, method, path, timeoutMs);
  if (code === 500) throw commandFailure('CORRUPT_STORE', text);
  return text;
}

/** The same for what is answered as JSON. */
export async function askEngine<T>(
  home: Home,
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
