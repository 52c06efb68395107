import { existsSync } from 'node:fs';
import { commandFailure } from '../../base/errors.js';
import { readClusterFile } from '../cluster-file.js';
import { pinOf, readCredentials } from '../credentials.js';
import { readEndpoint } from '../endpoint.js';
import type { Home } from '../home.js';
import { headersFolder, modulePath } from '../installation.js';
import { shellWord } from '../shell.js';

export function envCommand(home: Home): void {
  const credentials = readCredentials(home);
  // A client beside the HSMs has no cluster of its own.
  const listens = existsSync(home.engineSocket);
  if (credentials === undefined && !listens && readClusterFile(home) === undefined) {
    throw commandFailure(
      'NOT_RUNNING',
      `${home.directory} has no cluster yet: start one with \`cloudhsm-local up\``,
    );
  }
  const variables: [string, string][] = [
    ['CLOUDHSM_LOCAL_HOME', home.directory],
    ['CLOUDHSM_LOCAL_SOCKET', home.engineSocket],
    ['PKCS11_MODULE_PATH', modulePath],
    ['CLOUDHSM_PKCS11_INCLUDE', headersFolder],
    // A cluster that somebody else activates has users of their own.
    ...(credentials === undefined
      ? []
      : ([
          ['CLOUDHSM_PIN', pinOf(credentials.cryptoUser)],
          ['CLOUDHSM_ADMIN_PIN', pinOf(credentials.admin)],
        ] as [string, string][])),
  ];
  const endpoint = readEndpoint(home)?.origin;
  if (endpoint !== undefined) variables.push(['AWS_ENDPOINT_URL_CLOUDHSM_V2', endpoint]);
  for (const [name, value] of variables) console.log(`export ${name}=${shellWord(value)}`);
}
