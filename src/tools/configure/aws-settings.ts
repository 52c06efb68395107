import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readNamedFile } from '../connection/identity.js';
import { refused } from '../failure.js';
import type { AwsCredentials } from './aws-signature.js';

/* Region and credentials as AWS's programs find them: options, environment, then the profile. */

type Profile = Readonly<Record<string, string>>;

/** Hundreds of accounts have a profile each. */
const MOST_BYTES = 4 * 1024 * 1024;

/** One section of an INI file of ~/.aws; none where there is no such file, or /dev/null. Throws REFUSED. */
function readProfile(file: string, section: string): Profile {
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  const text = isFile ? readNamedFile(file, MOST_BYTES).toString('utf8') : '';
  const values: Record<string, string> = {};
  let current = '';
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[([^\]]+)\]/.exec(line);
    if (header !== null) current = header[1]!.trim();
    const [, name, value] = /^\s*([A-Za-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (current === section && name !== undefined) values[name] = value!;
  }
  return values;
}

const profileName = (env: NodeJS.ProcessEnv): string => env['AWS_PROFILE'] || 'default';

function configProfile(env: NodeJS.ProcessEnv): Profile {
  const name = profileName(env);
  const file = env['AWS_CONFIG_FILE'] || join(homedir(), '.aws', 'config');
  return readProfile(file, name === 'default' ? name : `profile ${name}`);
}

/** "Region falls back to AWS_DEFAULT_REGION, AWS_REGION, profile, us-east-1" (reference management-tools, section 3.3). */
export function regionFrom(option: string | undefined, env: NodeJS.ProcessEnv): string {
  const region =
    option || env['AWS_DEFAULT_REGION'] || env['AWS_REGION'] || configProfile(env)['region'] || 'us-east-1';
  if (!/^[a-z0-9-]{1,32}$/.test(region)) throw refused('the region is no name of a region');
  return region;
}

/** Throws REFUSED where there are none. */
export function credentialsFrom(env: NodeJS.ProcessEnv): AwsCredentials {
  const file = env['AWS_SHARED_CREDENTIALS_FILE'] || join(homedir(), '.aws', 'credentials');
  const profile = readProfile(file, profileName(env));
  const accessKeyId = env['AWS_ACCESS_KEY_ID'] || profile['aws_access_key_id'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'] || profile['aws_secret_access_key'];
  if (!accessKeyId || !secretAccessKey)
    throw refused('there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  const sessionToken = env['AWS_ACCESS_KEY_ID'] ? env['AWS_SESSION_TOKEN'] : profile['aws_session_token'];
  return { accessKeyId, secretAccessKey, sessionToken };
}

/** `--endpoint`, else what AWS's programs read, else AWS's own. Throws REFUSED. */
export function endpointFrom(option: string | undefined, region: string, env: NodeJS.ProcessEnv): URL {
  const text =
    option ||
    env['AWS_ENDPOINT_URL_CLOUDHSM_V2'] ||
    env['AWS_ENDPOINT_URL'] ||
    `https://cloudhsmv2.${region}.amazonaws.com`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw refused('the endpoint is no http or https URL');
  if (url.username !== '' || url.password !== '')
    throw refused('the endpoint has a name or a password in it: leave them out, requests are signed');
  return url;
}
