import { existsSync } from 'node:fs';
import * as z from 'zod';
import { clusterModes, hsmTypes, isClusterKind, noSuchKind } from '../base/cluster-kind.js';
import { commandFailure } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import type { Home } from './home.js';

const clusterSchema = z
  .object({
    formatVersion: z.literal(1),
    /** Grows whenever an HSM comes or goes; 1 without it. */
    version: z.number().int().min(1).max(0xffff_ffff).optional(),
    id: z.string().regex(/^cluster-[a-z2-7]{11}$/),
    hsmType: z.enum(hsmTypes),
    mode: z.enum(clusterModes),
    hsms: z.array(
      z.object({
        id: z.string().regex(/^hsm-[a-z2-7]{11}$/),
        ordinal: z.number().int().min(1),
        /** Of an HSM that the API has made. */
        eniIp: z.ipv4().optional(),
      }),
    ),
  })
  .refine(isClusterKind, { path: ['mode'], error: noSuchKind });

/** cluster.json: which HSMs the home's cluster has. Where the API keeps the cluster, other processes read here what it has. */
export type ClusterFile = z.infer<typeof clusterSchema>;

export type ClusterMember = ClusterFile['hsms'][number];

/** Throws BAD_CONFIGURATION. */
export function readClusterFile(home: Home): ClusterFile | undefined {
  const contents = readFileIfPresent(home.clusterFile);
  if (contents === undefined) return undefined;
  try {
    return clusterSchema.parse(JSON.parse(contents.toString('utf8')));
  } catch (error) {
    throw commandFailure(
      'BAD_CONFIGURATION',
      `${home.clusterFile} is not a cluster file of this version`,
      error,
    );
  }
}

/** Throws BAD_CONFIGURATION for a home whose cluster is the API's. */
export function requireNoApiCluster({ directory, defaultClusterFile }: Home): void {
  if (!existsSync(defaultClusterFile)) return;
  throw commandFailure(
    'BAD_CONFIGURATION',
    `the API has the cluster of ${directory}: \`up\` runs its HSMs, \`aws cloudhsmv2 create-hsm\` and \`delete-hsm\` change which there are`,
  );
}

/** Throws BAD_CONFIGURATION for a home without a cluster, or with one of the API. */
export function requireOwnCluster(home: Home): ClusterFile {
  requireNoApiCluster(home);
  const file = readClusterFile(home);
  if (file !== undefined) return file;
  throw commandFailure(
    'BAD_CONFIGURATION',
    `${home.directory} has no cluster: \`cloudhsm-local init\` makes it`,
  );
}

/** Replaces the file as a whole. Processes of HSMs look at it every second. */
export function writeClusterFile(home: Home, file: ClusterFile): void {
  writePrivateFile(home.clusterFile, `${JSON.stringify(file, null, 2)}\n`);
}

/** Throws BAD_CONFIGURATION for an HSM that the cluster does not have. */
export function memberOf(file: ClusterFile, idOrOrdinal: string): ClusterMember {
  const member = file.hsms.find(({ id, ordinal }) => id === idOrOrdinal || String(ordinal) === idOrOrdinal);
  if (member !== undefined) return member;
  const there = file.hsms.map(({ id, ordinal }) => `${ordinal} (${id})`).join(', ');
  throw commandFailure('BAD_CONFIGURATION', `there is no HSM ${idOrOrdinal} in ${file.id}: it has ${there}`);
}
