import { request } from 'node:http';
import { silentLog } from '../../src/base/log.js';
import type { ControlPlane } from '../../src/control-plane/control-plane.js';
import { type Authorization, standardAuthorization } from '../../src/control-plane/http/authorization.js';
import { type ControlPlaneServer, serveControlPlane } from '../../src/control-plane/http/server.js';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body, if it is JSON. */
  readonly body: Record<string, unknown>;
}

export interface RawRequest {
  readonly target?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly path?: string;
}

/** What a lenient server needs of a signature: account and region. */
export const authorization = (region = 'us-east-1'): string =>
  `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/${region}/cloudhsm/aws4_request, SignedHeaders=host, Signature=${'0'.repeat(64)}`;

/** A control plane over HTTP, and requests that no client library would send. */
export class ApiServer {
  private constructor(private readonly server: ControlPlaneServer) {}

  static async start(
    controlPlane: ControlPlane,
    changes: Partial<Authorization> = {},
    files: Readonly<Record<string, string>> = {},
  ): Promise<ApiServer> {
    const parts = { authorization: { ...standardAuthorization, ...changes }, host: '127.0.0.1', port: 0 };
    return new ApiServer(await serveControlPlane({ controlPlane, ...parts, files, log: silentLog }));
  }

  get port(): number {
    return this.server.port;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  close(): Promise<void> {
    return this.server.close();
  }

  /** Sends a request as it is told: a string as the bytes of the body, anything else as JSON. */
  send({ target, body = {}, headers = {}, method = 'POST', path = '/' }: RawRequest): Promise<RawAnswer> {
    const bytes = Buffer.isBuffer(body)
      ? body
      : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          port: this.port,
          host: '127.0.0.1',
          method,
          path,
          headers: {
            'content-type': 'application/x-amz-json-1.1',
            ...(target === undefined ? {} : { 'x-amz-target': `BaldrApiService.${target}` }),
            'content-length': bytes.length,
            authorization: authorization(),
            ...headers,
          },
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(parts).toString('utf8');
            let parsed = {};
            try {
              parsed = JSON.parse(text) as object;
            } catch {
              // Not JSON: a file, or nothing.
            }
            resolve({ status: response.statusCode!, headers: response.headers, text, body: parsed });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(bytes);
    });
  }
}
