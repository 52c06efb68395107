import * as z from 'zod';
import type { ClientClusterConfig, ClientConfig } from '../../base/client-config.js';
import { describeError } from '../../base/errors.js';
import { readFileIfPresent, writeWholeFile } from '../../base/files.js';
import { refused } from '../failure.js';

/* A configuration of SDK 5 that is being written: what is there stays, whoever's it is. */

/** What a package installs before anybody has configured it (reference management-tools, section 3.3). */
export const PLACEHOLDER = '%%HSM_IP_ADDRESS%%';

const shape = z.looseObject({
  clusters: z
    .array(
      z.looseObject({
        cluster: z.looseObject({ servers: z.array(z.looseObject({ hostname: z.string() })).optional() }),
      }),
    )
    .optional(),
});

/** Reads a file that may still hold the placeholder. Throws REFUSED. */
export function readDraft(file: string): ClientConfig {
  let fields: unknown;
  try {
    const contents = readFileIfPresent(file);
    if (contents === undefined) return {};
    fields = JSON.parse(contents.toString('utf8'));
  } catch (error) {
    throw refused(
      `${file} cannot be used: ${error instanceof SyntaxError ? 'it is not JSON' : describeError(error)}`,
    );
  }
  const result = shape.safeParse(fields);
  if (!result.success) throw refused(`${file} cannot be used: it is no configuration of Client SDK 5`);
  return result.data as ClientConfig;
}

export const isPlaceholder = ({ servers = [] }: ClientClusterConfig): boolean =>
  servers.some(({ hostname }) => hostname === PLACEHOLDER);

/** Everybody reads it: it holds no secret. */
export function writeConfig(file: string, config: object): void {
  try {
    writeWholeFile(file, `${JSON.stringify(config, null, 2)}\n`, 0o644);
  } catch (error) {
    throw refused(`${file} cannot be written: ${describeError(error)}`);
  }
}
