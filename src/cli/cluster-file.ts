import { z } from 'zod';
import { clusterModes, hsmTypes, isClusterKind, noSuchKind } from '../base/cluster-kind.js';
import { commandFailure } from '../base/errors.js';
import { readFileIfPresent } from '../base/files.js';
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
