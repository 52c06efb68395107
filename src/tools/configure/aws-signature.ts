import { ALGORITHM, signatureOf } from '../../control-plane/http/signature.js';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface AwsCall {
  readonly url: URL;
  readonly service: string;
  readonly region: string;
  /** `Service.Operation`. */
  readonly target: string;
  readonly body: string;
  readonly now: Date;
}

/** The headers of a POST of JSON to `/`, signed with Signature Version 4: what our endpoint checks, and AWS's. */
export function signedHeaders(
  { url, service, region, target, body, now }: AwsCall,
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
): Record<string, string> {
  const timestamp = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const headers: Record<string, string> = {
    'content-type': 'application/x-amz-json-1.1',
    host: url.host,
    'x-amz-date': timestamp,
    ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
    'x-amz-target': target,
  };
  const date = timestamp.slice(0, 8);
  const names = Object.keys(headers).sort();
  const claim = { accessKeyId, date, region, service, signedHeaders: names, signature: '' };
  const signature = signatureOf(claim, secretAccessKey, headers, Buffer.from(body));
  const scope = `${accessKeyId}/${date}/${region}/${service}/aws4_request`;
  const authorization = `${ALGORITHM} Credential=${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { ...headers, authorization };
}
