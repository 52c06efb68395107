import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { isSignedBy, parseAuthorization } from '../../src/control-plane/http/signature.js';
import { importSecretKey, randomBytes, type SecretKey } from '../../src/crypto/index.js';
import { seal, unseal } from '../../src/store/sealing.js';

/** What s3rver takes, and the KMS below. */
export const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };

/** Runs with credentials where AWS's SDK looks for them. */
export function withCredentials(): () => void {
  const before = { ...process.env };
  Object.assign(process.env, CREDENTIALS);
  return () => {
    for (const name of Object.keys(CREDENTIALS)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  };
}

interface S3rver {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}

/** A real S3 server with buckets in a folder. */
export async function startS3(
  directory: string,
  buckets: readonly string[],
): Promise<{ endpoint: string; close(): Promise<void> }> {
  const Server = createRequire(import.meta.url)('s3rver') as new (options: object) => S3rver;
  const configureBuckets = buckets.map((name) => ({ name }));
  const server = new Server({ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets });
  const { port } = await server.run();
  return { endpoint: `http://127.0.0.1:${port}`, close: () => server.close() };
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Passes requests on, except those that `breaks` picks: their connection is cut in the middle. */
export async function startProxy(
  endpoint: string,
  breaks: (incoming: IncomingMessage) => boolean,
): Promise<{ endpoint: string; close(): void }> {
  const target = new URL(endpoint);
  const server = createServer((incoming, outgoing) => {
    if (breaks(incoming)) {
      incoming.once('data', () => incoming.destroy());
      return;
    }
    const { method, url, headers } = incoming;
    const passed = request(
      { host: target.hostname, port: target.port, method, path: url, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(outgoing);
      },
    );
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { endpoint: `http://127.0.0.1:${portOf(server)}`, close: () => server.close() };
}

type Context = Record<string, string>;

/** KMS as far as archives need it: GenerateDataKey and Decrypt, signatures checked, keys by region. */
export class TestKms {
  readonly #server = createServer((incoming, outgoing) => {
    void this.#answer(incoming).then(({ status, body }) => {
      outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
    });
  });
  readonly #keys = new Map<string, SecretKey>();
  /** Error instead of an answer, for one region. */
  readonly states = new Map<string, string>();
  readonly requests: string[] = [];

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${portOf(this.#server)}`;
  }

  close(): void {
    this.#server.close();
  }

  #key(region: string): SecretKey {
    let key = this.#keys.get(region);
    if (key === undefined) {
      key = importSecretKey(randomBytes(32));
      this.#keys.set(region, key);
    }
    return key;
  }

  async #answer(incoming: IncomingMessage): Promise<{ status: number; body: object }> {
    const refuse = (name: string) => ({ status: 400, body: { __type: name, message: name } });
    const body = await bodyOf(incoming);
    const claim = parseAuthorization(incoming.headers.authorization ?? '');
    if (
      claim?.service !== 'kms' ||
      claim.accessKeyId !== CREDENTIALS.AWS_ACCESS_KEY_ID ||
      !isSignedBy(claim, CREDENTIALS.AWS_SECRET_ACCESS_KEY, incoming.headers, body)
    )
      return refuse('InvalidSignatureException');
    const { region } = claim;
    const target = String(incoming.headers['x-amz-target']);
    this.requests.push(`${region} ${target}`);
    const state = this.states.get(region);
    if (state !== undefined) return refuse(state);
    const { EncryptionContext = {}, CiphertextBlob, KeyId, KeySpec } = JSON.parse(body.toString());
    const arn = `arn:aws:kms:${region}:123456789012:key/1`;
    const identity = Buffer.from(JSON.stringify(Object.entries(EncryptionContext as Context).sort()));
    if (target === 'TrentService.GenerateDataKey' && KeySpec === 'AES_256') {
      const plaintext = randomBytes(32);
      const blob = seal(this.#key(region), identity, plaintext);
      const answer = {
        KeyId: arn,
        Plaintext: plaintext.toString('base64'),
        CiphertextBlob: blob.toString('base64'),
      };
      return { status: 200, body: answer };
    }
    if (target !== 'TrentService.Decrypt') return refuse('UnknownOperationException');
    if (KeyId !== arn) return refuse('IncorrectKeyException');
    const plaintext = unseal(this.#key(region), identity, Buffer.from(CiphertextBlob, 'base64'));
    if (plaintext === undefined) return refuse('InvalidCiphertextException');
    return { status: 200, body: { KeyId: arn, Plaintext: plaintext.toString('base64') } };
  }
}
