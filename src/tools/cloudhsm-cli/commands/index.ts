import type { CommandRow, Options } from '../../command-row.js';
import { optional } from '../../command-row.js';
import { refused } from '../../failure.js';
import type { GroupHelp } from '../../help.js';
import { type CliContext, command } from '../context.js';
import { clusterCommands } from './cluster.js';
import { cryptoCommands } from './crypto.js';
import { keyGenerationCommands } from './key-generation.js';
import { keyCommands } from './keys.js';
import { loginCommands } from './login.js';
import { mutualTlsCommands } from './mutual-tls.js';
import { quorumCommands } from './quorum.js';
import { replicationCommands } from './replication.js';
import { userCommands } from './users.js';
import { wrappingCommands } from './wrapping.js';

/** How the tool is started for more than one command. */
export const interactiveCommand = command({
  path: ['interactive'],
  help: 'Start CloudHSM CLI in interactive mode',
  roles: [],
  options: {},
  run: async () => {
    throw refused('this is the interactive mode already');
  },
});

/** THE row per command of cloudhsm-cli (reference management-tools, section 6). */
export const cliCommands: readonly CommandRow<CliContext>[] = [
  interactiveCommand,
  ...clusterCommands,
  ...mutualTlsCommands,
  ...cryptoCommands,
  ...keyCommands,
  ...keyGenerationCommands,
  ...wrappingCommands,
  ...replicationCommands,
  ...loginCommands,
  ...quorumCommands,
  ...userCommands,
];

export const cliGroups: GroupHelp = {
  cluster: 'Perform cluster operations',
  'cluster mtls': 'Perform mutual TLS operations',
  crypto: 'Perform crypto operations',
  'crypto sign': 'Perform a signature operation',
  'crypto verify': 'Perform a verification operation',
  key: 'Perform key management operations',
  'key generate-symmetric': 'Generate a symmetric key',
  'key generate-asymmetric-pair': 'Generate an asymmetric key pair',
  'key import': 'Import a key',
  'key wrap': 'Wrap a key',
  'key unwrap': 'Unwrap a key',
  quorum: 'Perform quorum operations',
  'quorum token-sign': 'Perform token sign operations',
  user: 'Perform user operations',
  'user change-mfa': "Change a user's mfa strategy",
  'user change-quorum': "Change a user's quorum strategy",
  'user change-quorum token-sign': 'Register a quorum strategy public key with a user',
};

/** Options that every command has. */
export const commonOptions = {
  'cluster-id': optional<string>(
    'CLUSTER_ID',
    'Unique Id to choose which of the clusters in the config file to run the operation against. If not provided, will fall back to the value provided when interactive mode was started, or error',
  ),
} satisfies Options;
