import type { IncomingHttpHeaders } from 'node:http';
import { constantTimeEqual, digest, hmac, importSecretKey } from '../../crypto/index.js';

/* AWS Signature Version 4 in the Authorization header, from the side that checks (reference section 2.4). */

export const ALGORITHM = 'AWS4-HMAC-SHA256';

/** What an Authorization header says. */
export interface SignatureClaim {
  readonly accessKeyId: string;
  /** yyyymmdd */
  readonly date: string;
  readonly region: string;
  readonly service: string;
  /** Lower-case names, as they were listed. */
  readonly signedHeaders: readonly string[];
  /** Hexadecimal. */
  readonly signature: string;
}

const HEADER =
  /^AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request\s*,\s*SignedHeaders=([a-z0-9;_-]+)\s*,\s*Signature=([0-9a-f]{64})$/;

/** undefined for what is no such header. */
export function parseAuthorization(header: string): SignatureClaim | undefined {
  const [match, accessKeyId, date, region, service, signedHeaders, signature] = HEADER.exec(header) ?? [];
  if (match === undefined) return undefined;
  return {
    accessKeyId: accessKeyId!,
    date: date!,
    region: region!,
    service: service!,
    signedHeaders: signedHeaders!.split(';'),
    signature: signature!,
  };
}

const hex = (data: Uint8Array | string): string => digest('sha256', Buffer.from(data)).toString('hex');

function mac(key: Buffer, text: string): Buffer {
  const secret = importSecretKey(key);
  const result = hmac('sha256', secret, Buffer.from(text));
  secret.destroy();
  return result;
}

/** The key that signs this day's requests for one service in one region. */
function signingKey(secretAccessKey: string, { date, region, service }: SignatureClaim): Buffer {
  return [date, region, service, 'aws4_request'].reduce(mac, Buffer.from(`AWS4${secretAccessKey}`));
}

const trimmed = (value: string | string[] | undefined): string =>
  (Array.isArray(value) ? value.join(',') : (value ?? '')).trim().replace(/ +/g, ' ');

/** Exactly the headers that the client lists, whatever they are: clients differ. */
function canonicalRequest(claim: SignatureClaim, headers: IncomingHttpHeaders, body: Buffer): string {
  const lines = claim.signedHeaders.map((name) => `${name}:${trimmed(headers[name])}\n`);
  return `POST\n/\n\n${lines.join('')}\n${claim.signedHeaders.join(';')}\n${hex(body)}`;
}

/** The signature that the request should have. */
export function signatureOf(
  claim: SignatureClaim,
  secretAccessKey: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
): string {
  const scope = `${claim.date}/${claim.region}/${claim.service}/aws4_request`;
  const request = canonicalRequest(claim, headers, body);
  const toSign = [ALGORITHM, trimmed(headers['x-amz-date']), scope, hex(request)].join('\n');
  return mac(signingKey(secretAccessKey, claim), toSign).toString('hex');
}

export function isSignedBy(
  claim: SignatureClaim,
  secretAccessKey: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
): boolean {
  const expected = signatureOf(claim, secretAccessKey, headers, body);
  return constantTimeEqual(Buffer.from(expected), Buffer.from(claim.signature));
}

/** `20261121T203631Z` in milliseconds; undefined for anything else. */
export function parseAmzDate(value: string | undefined): number | undefined {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(value ?? '') ?? [];
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
