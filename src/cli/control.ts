import { chmodSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { commandFailure, describeError } from '../base/errors.js';
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
    if (method === 'GET' && /^\/logs(\/|$)/.test(url)) {
      Promise.resolve()
        .then(() => engine.logs(url))
        .then((body) => answer(body === undefined ? noResource : { code: 200, body }))
        .catch((error) => answer({ code: 500, body: { error: describeError(error) } }));
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

/** Asks the engine that runs on `home`. Throws NOT_RUNNING. */
export function askEngine<T>(
  home: Home,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const failed = (error: unknown): void =>
      reject(
        commandFailure(
          'NOT_RUNNING',
          `no engine runs on ${home.directory}: start one with \`cloudhsm-local up\``,
          error,
        ),
      );
    const asked = request(
      { socketPath: home.controlSocket, method, path, timeout: timeoutMs },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', failed);
        response.on('end', () => {
          try {
            const body = JSON.parse(Buffer.concat(parts).toString('utf8')) as T & { error: string };
            if (response.statusCode === 500) reject(commandFailure('CORRUPT_STORE', body.error));
            else resolve(body);
          } catch (error) {
            failed(error);
          }
        });
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    asked.on('error', failed);
    asked.end();
  });
}
