import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describeError } from '../../base/errors.js';
import { originForm } from '../../base/http.js';
import { limits } from '../../base/limits.js';
import type { Log } from '../../base/log.js';
import { randomBytes } from '../../crypto/index.js';
import type { ControlPlane } from '../control-plane.js';
import { type ErrorName, errorStatus, modelledErrors, ServiceError } from '../service/errors.js';
import { isOperationName, type OperationName, operations, service } from '../service/operations.js';
import { type Authorization, authorize } from './authorization.js';

/*
 * The HTTP face: AWS JSON 1.1 over node:http (reference section 2). What arrives is bounded before it is believed, and what
 * arrives slowly is given up.
 */

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 60_000;

export interface ControlPlaneServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

export interface ServerParts {
  readonly controlPlane: ControlPlane;
  readonly authorization: Authorization;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Files that users fetch, by path: the roots that they pin. */
  readonly files?: Readonly<Record<string, string>>;
  readonly log: Log;
}

/** A version 4 UUID, as AWS numbers requests. */
function newRequestId(): string {
  const bytes = randomBytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The whole body. What is too long is not read to its end. */
function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const check = (length: number): void => {
      if (length <= limits.apiRequestBytes) return;
      request.removeAllListeners('data').pause();
      const message = `A request has at most ${limits.apiRequestBytes} bytes.`;
      reject(new ServiceError('RequestEntityTooLargeException', message));
    };
    check(Number(request.headers['content-length'] ?? 0));
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      parts.push(part);
      check(bytes);
    });
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('error', reject);
  });
}

function operationOf(request: IncomingMessage): OperationName {
  const target = request.headers['x-amz-target'];
  const [prefix, name = '', ...others] = (Array.isArray(target) ? '' : (target ?? '')).split('.');
  if (
    request.method !== 'POST' ||
    originForm(request.url ?? '') !== '/' ||
    prefix !== service.targetPrefix ||
    others.length > 0 ||
    !isOperationName(name)
  )
    throw new ServiceError('UnknownOperationException', 'There is no such operation.');
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== service.contentType)
    throw new ServiceError('MalformedHttpRequestException', `Content-Type must be ${service.contentType}.`);
  return name;
}

/** `aws-cli/2.17.0 md/…` is `aws-cli`; Terraform names its authors first. */
function programOf({ headers }: IncomingMessage): string | undefined {
  const products = (headers['user-agent'] ?? '').slice(0, limits.nameBytes).match(/[\w.+-]+(?=\/)/g) ?? [];
  return products.find((product) => product !== 'APN' && product !== 'HashiCorp');
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new ServiceError('SerializationException', 'The body is not JSON in UTF-8.');
  }
}

/** What a client is told of an error: nothing of ours that is no answer. */
function answerable(error: unknown, operation: OperationName | undefined, log: Log): ServiceError {
  if (error instanceof ServiceError) {
    const isModelled = (code: ErrorName): boolean => Object.hasOwn(modelledErrors, code);
    const listed: readonly string[] = operation === undefined ? [] : operations[operation].errors;
    if (isModelled(error.code) && operation !== undefined && !listed.includes(error.code))
      log.error({ operation, code: error.code }, 'an error that the operation does not have');
    return error;
  }
  log.error({ operation }, describeError(error));
  return new ServiceError('CloudHsmInternalFailureException', 'An internal error occurred: see the log.');
}

class Face {
  constructor(private readonly parts: ServerParts) {}

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = newRequestId();
    let operation: OperationName | undefined;
    try {
      if (this.#serveFile(request, response)) return;
      operation = operationOf(request);
      const body = await readBody(request);
      const output = await this.#call(operation, request, body);
      this.#answer(response, requestId, 200, output);
      this.parts.log.debug({ operation, requestId }, 'answered');
    } catch (error) {
      if (request.destroyed && !request.complete) return;
      const { code, status, message } = answerable(error, operation, this.parts.log);
      this.parts.log.info({ operation, requestId, code }, message);
      // What is still on its way is not read.
      if (!request.complete) response.setHeader('connection', 'close');
      this.#answer(response, requestId, status, { __type: code, Message: message });
    }
  }

  #serveFile({ method, url = '' }: IncomingMessage, response: ServerResponse): boolean {
    const { files = {} } = this.parts;
    const path = originForm(url);
    if ((method !== 'GET' && method !== 'HEAD') || !Object.hasOwn(files, path)) return false;
    response.writeHead(200, { 'content-type': 'application/x-pem-file' }).end(files[path]);
    return true;
  }

  async #call(operation: OperationName, request: IncomingMessage, body: Buffer): Promise<unknown> {
    const { controlPlane, authorization, log } = this.parts;
    const nowMs = controlPlane.context.time.nowMs();
    const caller = authorize(authorization, request.headers, body, nowMs, log);
    return controlPlane.call(operation, parseBody(body), caller, programOf(request));
  }

  #answer(response: ServerResponse, requestId: string, status: number, body: unknown): void {
    const bytes = Buffer.from(JSON.stringify(body));
    response.writeHead(status, {
      'content-type': service.contentType,
      'content-length': bytes.length,
      'x-amzn-requestid': requestId,
    });
    response.end(bytes);
  }
}

/** What node:http itself refuses, before there is a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const code: ErrorName =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'RequestTimeoutException' : 'MalformedHttpRequestException';
  const body = JSON.stringify({ __type: code, Message: 'The request cannot be read.' });
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : errorStatus[code];
  const head = [
    `HTTP/1.1 ${status} Refused`,
    `content-type: ${service.contentType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => resolve());
  });
}

/** Serves the API. Rejects when the address cannot be had. */
export async function serveControlPlane(parts: ServerParts): Promise<ControlPlaneServer> {
  const face = new Face(parts);
  const server = createServer(
    {
      maxHeaderSize: limits.apiHeaderBytes,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      face.handle(request, response).catch((error) => {
        parts.log.error(describeError(error));
        response.destroy();
      });
    },
  );
  server.on('clientError', (error, socket) => refuse(error, socket as Socket));
  await listen(server, parts.host, parts.port);
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), KEEP_ALIVE_MS / 60).unref();
      }),
  };
}
