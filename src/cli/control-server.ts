import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { describeError, Failure } from '../base/errors.js';
import { originForm } from '../base/http.js';
import type { Log } from '../base/log.js';
import { requireSocketPath } from '../base/sockets.js';
import type { Hsm } from '../hsm/hsm.js';
import { auditAnswer } from './audit-answer.js';
import type { ListedBackup } from './backups.js';
import { ask, askEngine, askEngineText, type Listening, type WentWrong } from './control.js';
import { faultAnswer } from './fault-answer.js';
import { mergedMetrics } from './merged-metrics.js';
import type { ReadinessReport } from './report.js';
import { type EngineStatus, type UserLists, usersOf } from './status.js';

/*
 * What commands (control.ts) see of a running engine and make it do: HTTP on a Unix socket (0600) in its home. docs/CONFIGURATION.md
 * has a row per request. A process of one HSM has a socket of its own, without the report.
 */

/** Whoever asked gives up earlier. */
const FORWARDED_TIMEOUT_MS = 120_000;

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

interface Page {
  readonly code: number;
  readonly type?: string;
  readonly body: string | Buffer | AsyncIterable<Buffer>;
}

const json = (body: unknown, code = 200): Page => ({
  code,
  type: 'application/json',
  body: JSON.stringify(body),
});
const nothingThere = json({ error: 'no such resource' }, 404);
const wentWrong = (error: unknown): Page => {
  const code = error instanceof Failure ? error.code : undefined;
  return json({ code, error: describeError(error) } satisfies WentWrong, 500);
};

/** THE row per request: what of "METHOD path" it is, and what answers it; undefined: there is no such thing here. */
type Route = readonly [RegExp, (found: string[]) => Page | undefined | Promise<Page | undefined>];

function routesOf(engine: Controlled, requestStop: () => void): readonly Route[] {
  const processes = () => engine.processes?.() ?? new Map<string, Listening>();
  /** One that does not run says nothing. */
  const fromAll = async <T>(question: (process: Listening) => Promise<T>): Promise<T[]> => {
    const asked = await Promise.allSettled([...processes().values()].map(question));
    return asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  };
  const trails = () => new Map(engine.hsms().map((hsm) => [hsm.settings.id, hsm.audit]));
  return [
    [
      /^([A-Z]+) (\/(?:logs|hsms)\/([\w-]+)\/.*)$/,
      async ([method, url, hsmId]) => {
        const process = processes().get(hsmId!);
        if (process === undefined) return undefined;
        const { code = 500, body } = await ask(process, method!, url!, FORWARDED_TIMEOUT_MS);
        return { code, type: 'application/json', body };
      },
    ],
    [/^GET \/status$/, async () => json(await engine.status())],
    [
      /^GET \/users$/,
      async () => {
        const elsewhere = await fromAll((one) => askEngine<UserLists>(one, 'GET', '/users'));
        return json(Object.assign(usersOf(engine.hsms()), ...elsewhere));
      },
    ],
    [/^GET \/report$/, () => engine.report && json(engine.report())],
    [
      /^DELETE \/report$/,
      () => {
        engine.clearReport?.();
        return engine.clearReport && json({});
      },
    ],
    [/^GET \/backups$/, () => json(engine.backups?.() ?? [])],
    [
      /^GET \/metrics$/,
      async () => {
        const elsewhere = await fromAll((one) => askEngineText(one, 'GET', '/metrics'));
        const type = 'text/plain; version=0.0.4; charset=utf-8';
        return { code: 200, type, body: mergedMetrics([engine.metrics(), ...elsewhere]) };
      },
    ],
    [/^GET \/backup$/, () => engine.backUp && { code: 200, body: engine.backUp() }],
    [
      /^GET \/logs$/,
      async () => {
        const elsewhere = await fromAll((one) => askEngine<string[]>(one, 'GET', '/logs'));
        return json([...trails().keys(), ...elsewhere.flat()]);
      },
    ],
    [
      /^GET (\/logs\/.*)$/,
      async ([url]) => {
        const answer = await auditAnswer(trails(), url!);
        return answer === undefined ? undefined : json(answer);
      },
    ],
    [
      /^(POST|DELETE) \/hsms\/([\w-]+)\/fault(?:\/([\w-]+))?$/,
      async ([method, hsmId, kind]) => {
        const { code, body } = await faultAnswer(engine.hsms(), hsmId!, method === 'DELETE', kind);
        return json(body, code);
      },
    ],
    [
      /^POST \/shutdown$/,
      () => {
        setImmediate(requestStop);
        return json({}, 202);
      },
    ],
  ];
}

async function answered(routes: readonly Route[], asked: string): Promise<Page> {
  try {
    for (const [pattern, answer] of routes) {
      const found = pattern.exec(asked);
      const page = found === null ? undefined : await answer(found.slice(1));
      if (page !== undefined) return page;
    }
    return nothingThere;
  } catch (error) {
    return wentWrong(error);
  }
}

function send({ code, type, body }: Page, outgoing: ServerResponse, log: Log): void {
  outgoing.writeHead(code, { ...(type !== undefined && { 'content-type': type }), connection: 'close' });
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    outgoing.end(body);
    return;
  }
  // Cut off, it is no backup.
  pipeline(Readable.from(body), outgoing, (error) => {
    if (error) log.warn(`a backup was not finished: ${describeError(error)}`);
  });
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
  const routes = routesOf(engine, () => requestStop());
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    const { method = '' } = incoming;
    void answered(routes, `${method} ${originForm(incoming.url ?? '')}`).then((page) =>
      send(page, outgoing, log),
    );
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
