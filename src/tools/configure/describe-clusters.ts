import * as z from 'zod';
import { limits } from '../../base/limits.js';
import { refused } from '../failure.js';
import { credentialsFrom, endpointFrom, regionFrom } from './aws-settings.js';
import { signedHeaders } from './aws-signature.js';

/** How long the API may take. */
const TIMEOUT_MS = 15_000;
/** One cluster with its HSMs and certificates has some KiB. */
const MOST_BYTES = 1024 * 1024;

const answer = z.looseObject({
  Clusters: z.array(
    z.looseObject({
      ClusterId: z.string(),
      Hsms: z
        .array(
          z.looseObject({ EniIp: z.string().max(limits.nameBytes).optional(), State: z.string().optional() }),
        )
        .optional(),
    }),
  ),
});

export interface ClusterLookup {
  readonly clusterId: string;
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
}

/** "Baldr": the service's own name in its API. */
const TARGET = 'BaldrApiService.DescribeClusters';

/** The ENI addresses of a cluster's HSMs, as DescribeClusters tells them. Throws REFUSED. */
export async function hsmAddresses(
  { clusterId, region: regionOption, endpoint }: ClusterLookup,
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const region = regionFrom(regionOption, env);
  const url = endpointFrom(endpoint, region, env);
  const body = JSON.stringify({ Filters: { clusterIds: [clusterId] } });
  const call = { url, service: 'cloudhsm', region, target: TARGET, body, now: new Date() };
  const { host: _, ...headers } = signedHeaders(call, credentialsFrom(env));
  let status: number;
  let text: string;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
    status = response.status;
    text = await readText(response);
  } catch (error) {
    throw refused(`DescribeClusters at ${url.origin} failed`, error);
  }
  if (status !== 200)
    throw refused(`DescribeClusters at ${url.origin} was refused: ${errorOf(text, status)}`);
  const clusters = answer.safeParse(parsed(text));
  if (!clusters.success) throw refused(`${url.origin} answered what is no list of clusters`);
  const cluster = clusters.data.Clusters.find(({ ClusterId }) => ClusterId === clusterId);
  if (cluster === undefined) throw refused(`there is no cluster ${clusterId} in ${region}`);
  const addresses = (cluster.Hsms ?? []).flatMap(({ EniIp, State }) =>
    EniIp !== undefined && (State === undefined || State === 'ACTIVE') ? [EniIp] : [],
  );
  if (addresses.length === 0)
    throw refused(`cluster ${clusterId} has no HSM that is ACTIVE: create one first`);
  return addresses;
}

/** Whoever listens there may say anything, for as long as he likes. */
async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new Error(`it answers more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorOf(text: string, status: number): string {
  const error = z
    .looseObject({
      __type: z.string().optional(),
      message: z.string().optional(),
      // Of the errors that the service's model has.
      Message: z.string().optional(),
    })
    .safeParse(parsed(text));
  const { __type = '', Message = '', message = Message } = error.success ? error.data : {};
  return [`status ${status}`, __type.split('#').at(-1), message].filter(Boolean).join(' ').slice(0, 500);
}
