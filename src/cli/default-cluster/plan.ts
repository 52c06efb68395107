import { existsSync, rmSync } from 'node:fs';
import * as z from 'zod';
import { clusterModes, hsmTypes } from '../../base/cluster-kind.js';
import type { Config } from '../../base/config.js';
import { commandFailure } from '../../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../../base/files.js';
import { standardAuthorization } from '../../control-plane/http/authorization.js';
import { newNetworkId } from '../../control-plane/state/ids.js';
import { readClusterFile } from '../cluster-file.js';
import type { Home } from '../home.js';
import { networkOf } from '../network.js';

const planSchema = z.object({
  formatVersion: z.literal(1),
  /** Whose the cluster is, and where. */
  account: z.string(),
  region: z.string(),
  /** The home's own: in its VPC there is no other cluster until this one is complete. */
  subnet: z.object({ id: z.string(), vpcId: z.string(), availabilityZone: z.string(), cidr: z.string() }),
  hsms: z.number().int().min(1),
  hsmType: z.enum(hsmTypes),
  mode: z.enum(clusterModes),
  activated: z.boolean(),
  /** Known once CreateCluster has answered. */
  clusterId: z.string().optional(),
  /** All of it is there: from now on it is its owner's. */
  complete: z.boolean(),
});

/** What the home's default cluster is made of, decided at the first start, and how far that has come. */
export type Plan = Readonly<z.infer<typeof planSchema>>;

/** Throws BAD_CONFIGURATION. */
export function readPlan(home: Home): Plan | undefined {
  const contents = readFileIfPresent(home.defaultClusterFile);
  if (contents === undefined) return undefined;
  try {
    return planSchema.parse(JSON.parse(contents.toString('utf8')));
  } catch (error) {
    const text = `${home.defaultClusterFile} is not what this version has written`;
    throw commandFailure('BAD_CONFIGURATION', text, error);
  }
}

export function writePlan(home: Home, plan: Plan): Plan {
  writePrivateFile(home.defaultClusterFile, `${JSON.stringify(plan, null, 2)}\n`);
  return plan;
}

function newPlan(config: Config): Plan {
  const { defaultAccount, defaultRegion } = { ...standardAuthorization, ...config.controlPlane };
  const id = newNetworkId('subnet');
  return {
    formatVersion: 1,
    account: defaultAccount,
    region: defaultRegion,
    subnet: {
      id,
      vpcId: newNetworkId('vpc'),
      availabilityZone: `${defaultRegion}a`,
      cidr: `${networkOf(id, config)}.0/24`,
    },
    hsms: config.activated === false ? 1 : config.hsms,
    hsmType: config.hsmType,
    mode: config.mode,
    activated: config.activated !== false,
    complete: false,
  };
}

/** Of a home whose clusters are all made by somebody: nothing is to be made. Only where there is no cluster. */
export function planNothing(home: Home, config: Config): void {
  const isNew = ![home.defaultClusterFile, home.clusterFile, home.hsmsDirectory].some(existsSync);
  if (isNew) writePlan(home, { ...newPlan(config), complete: true });
}

const missing = (what: string, file: string): never => {
  throw commandFailure(
    'CORRUPT_STORE',
    `${what}, but ${file} is missing: put it back, or \`cloudhsm-local reset\` the home`,
  );
};

/**
 * How the default cluster of a home is made. undefined: it has been made by `init`, or by an earlier version, and is no
 * cluster of the API. Throws BAD_CONFIGURATION or CORRUPT_STORE.
 */
export function planOf(home: Home, config: Config, stated: Partial<Config>): Plan | undefined {
  const plan = readPlan(home);
  if (plan !== undefined) return plan;
  const file = readClusterFile(home);
  if (file !== undefined) {
    if (file.hsms.some(({ eniIp }) => eniIp !== undefined))
      missing(`${home.clusterFile} names HSMs of the API`, home.defaultClusterFile);
    return undefined;
  }
  if (existsSync(home.hsmsDirectory)) missing(`${home.hsmsDirectory} has HSMs`, home.clusterFile);
  if (config.activated === false && (stated.hsms ?? 1) > 1)
    throw commandFailure(
      'BAD_CONFIGURATION',
      'a cluster that is not activated has one HSM: leave hsms out, and create the others after the activation',
    );
  // What a first start of an earlier version has left that did not come to its end.
  rmSync(home.newHsmsDirectory, { recursive: true, force: true });
  return writePlan(home, newPlan(config));
}

/** The first three numbers of its addresses. */
export const eniNetworkOf = ({ subnet }: Plan): string => subnet.cidr.replace(/\.\d+\/.*$/, '');

/** For a cluster that the API does not make: the next start decides anew. */
export function forgetPlan(home: Home): void {
  rmSync(home.defaultClusterFile, { force: true });
}
