import { join } from 'node:path';
import * as z from 'zod';
import { readFileIfPresent } from '../base/files.js';
import type { Home } from './home.js';

const endpointSchema = z.object({ endpoint: z.url() });
export const endpointFile = (home: Home): string => join(home.controlPlaneDirectory, 'endpoint.json');

/** Where the home's API listens, or has listened last. */
export function readEndpoint(home: Home): URL | undefined {
  try {
    const contents = readFileIfPresent(endpointFile(home));
    return contents && new URL(endpointSchema.parse(JSON.parse(contents.toString())).endpoint);
  } catch {
    return undefined;
  }
}
