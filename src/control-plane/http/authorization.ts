import type { IncomingHttpHeaders } from 'node:http';
import type { Log } from '../../base/log.js';
import { ServiceError } from '../service/errors.js';
import { service } from '../service/operations.js';
import { shapes } from '../service/shapes.js';
import { validate } from '../service/validate.js';
import type { Realm } from '../state/records.js';
import { isSignedBy, parseAmzDate, parseAuthorization, type SignatureClaim } from './signature.js';

/** A key that requests are signed with. */
export interface AccessKey {
  readonly secretAccessKey: string;
  /** Twelve digits. */
  readonly account: string;
  /** Of temporary credentials; they end at `expiresMs`. */
  readonly sessionToken?: string | undefined;
  readonly expiresMs?: number | undefined;
}

/**
 * Who may call. `lenient` believes what a request says of itself: any credentials do, and the region they are signed for
 * is the one that is meant. `strict` checks as AWS does.
 */
export interface Authorization {
  readonly mode: 'lenient' | 'strict';
  /** By access key id. */
  readonly accessKeys: Readonly<Record<string, AccessKey>>;
  readonly defaultAccount: string;
  readonly defaultRegion: string;
}

export const standardAuthorization: Authorization = {
  mode: 'lenient',
  accessKeys: {},
  defaultAccount: '123456789012',
  defaultRegion: 'us-east-1',
};

/** "±5 minutes". */
const MOST_SKEW_MS = 300_000;

/** What names a request's session. */
const SESSION_HEADER = 'x-amz-security-token';

/** AWS's words for a scope that names no Region. */
function regionOf(region: string): string {
  try {
    validate(shapes.Region, region);
  } catch {
    const text = `Credential should be scoped to a valid Region, not '${region.slice(0, 64)}'.`;
    throw new ServiceError('InvalidSignatureException', text);
  }
  return region;
}

const unreadable = (): ServiceError =>
  new ServiceError('IncompleteSignatureException', 'Authorization header is not a signature of version 4.');

/** Who says nothing of himself means the default; who says it in a way that cannot be read meant something else. */
function lenientRealm(
  authorization: Authorization,
  claim: SignatureClaim | undefined,
  headers: IncomingHttpHeaders,
  log: Log,
): Realm {
  const { accessKeys, defaultAccount, defaultRegion } = authorization;
  if (claim === undefined && headers.authorization !== undefined) throw unreadable();
  if (claim === undefined) return { account: defaultAccount, region: defaultRegion };
  if (claim.service !== service.signingName)
    log.warn({ service: claim.service }, `requests are to be signed for ${service.signingName}`);
  const key = Object.hasOwn(accessKeys, claim.accessKeyId) ? accessKeys[claim.accessKeyId] : undefined;
  return { account: key?.account ?? defaultAccount, region: regionOf(claim.region) };
}

function checkTime(headers: IncomingHttpHeaders, claim: SignatureClaim, nowMs: number): void {
  const date = headers['x-amz-date'];
  const text = Array.isArray(date) ? undefined : date;
  const ms = parseAmzDate(text);
  if (ms === undefined)
    throw new ServiceError('IncompleteSignatureException', 'X-Amz-Date must be as 20261121T203631Z.');
  if (text!.slice(0, 8) !== claim.date)
    throw new ServiceError(
      'InvalidSignatureException',
      `Date in Credential scope does not match YYYYMMDD from X-Amz-Date: ${claim.date} != ${text!.slice(0, 8)}`,
    );
  if (Math.abs(nowMs - ms) > MOST_SKEW_MS)
    throw new ServiceError('InvalidSignatureException', `Signature expired or not yet current: ${text}.`);
}

function checkSession(key: AccessKey, headers: IncomingHttpHeaders, nowMs: number): void {
  const given = headers[SESSION_HEADER];
  if (key.sessionToken !== given)
    throw new ServiceError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  if (key.expiresMs !== undefined && nowMs > key.expiresMs)
    throw new ServiceError('ExpiredTokenException', 'The security token included in the request is expired.');
}

/** Headers that a signature must cover: what decides the answer cannot be changed on its way. */
const mustBeSigned = ['host', 'x-amz-date', 'x-amz-target'];

function strictRealm(
  { accessKeys }: Authorization,
  claim: SignatureClaim | undefined,
  headers: IncomingHttpHeaders,
  body: Buffer,
  nowMs: number,
): Realm {
  if (headers.authorization === undefined)
    throw new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  if (claim === undefined) throw unreadable();
  const missing = mustBeSigned.filter((name) => !claim.signedHeaders.includes(name));
  if (missing.length > 0)
    throw new ServiceError('InvalidSignatureException', `Headers must be signed: ${missing.join(', ')}.`);
  if (claim.service !== service.signingName)
    throw new ServiceError(
      'InvalidSignatureException',
      `Credential should be scoped to correct service: '${service.signingName}'.`,
    );
  const key = Object.hasOwn(accessKeys, claim.accessKeyId) ? accessKeys[claim.accessKeyId] : undefined;
  if (key === undefined)
    throw new ServiceError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  checkTime(headers, claim, nowMs);
  if (!isSignedBy(claim, key.secretAccessKey, headers, body))
    throw new ServiceError(
      'InvalidSignatureException',
      'The request signature we calculated does not match the signature you provided.',
    );
  checkSession(key, headers, nowMs);
  return { account: key.account, region: regionOf(claim.region) };
}

/** Whose request it is, and which region it means. Throws ServiceError. */
export function authorize(
  authorization: Authorization,
  headers: IncomingHttpHeaders,
  body: Buffer,
  nowMs: number,
  log: Log,
): Realm {
  const claim = parseAuthorization(headers.authorization ?? '');
  return authorization.mode === 'strict'
    ? strictRealm(authorization, claim, headers, body, nowMs)
    : lenientRealm(authorization, claim, headers, log);
}
