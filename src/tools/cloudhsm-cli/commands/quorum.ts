import { digest, randomBytes } from '../../../crypto/index.js';
import {
  TIMEOUT_MAX_SECONDS,
  TIMEOUT_MIN_SECONDS,
  type TokenInfo,
  type TokenState,
} from '../../../hsm/quorum/quorum.js';
import { adminServiceNames, isKeyService, serviceNames } from '../../../hsm/quorum/services.js';
import { QUORUM_MAX, QUORUM_MIN } from '../../../objects/key-quorum.js';
import { integer, many, oneOf, optional, required } from '../../command-row.js';
import { usage } from '../../failure.js';
import { approvalOption, bringApprovals } from '../approvals.js';
import { command } from '../context.js';
import { keyReference } from '../keys/description.js';
import { selectKey } from '../keys/filter.js';
import { agreed, INCONSISTENT } from '../names.js';
import { writeApproval, writeRegistration } from '../token-files.js';
import { FILTER_HELP } from './keys.js';

/** What a registration is made with: any bytes (reference management-tools, section 6.7). */
const REGISTRATION_BYTES = 245;

const timeoutSeconds = integer(TIMEOUT_MIN_SECONDS, TIMEOUT_MAX_SECONDS);
const tokenStates = ['generated', 'approved'] as const satisfies TokenState[];

const serviceHelp = 'Service the token will be used for';

/** What tokens are alike in. */
const useOf = ({ user, service, key }: TokenInfo): string => `${user} ${service} ${key ?? ''}`;

/** Of tokens for one use of a key there may be several: as many as every HSM has. */
function keyTokenEntry(lists: readonly (readonly TokenInfo[])[], token: TokenInfo): object {
  const counts = lists.map((list) => list.filter((one) => useOf(one) === useOf(token)).length);
  return {
    username: token.user,
    service: token.service,
    'key-reference': keyReference(token.key!),
    'minimum-token-count': Math.min(...counts),
  };
}

function tokenEntry(tokens: readonly TokenInfo[], hsms: number): object {
  const of = <T>(property: (token: TokenInfo) => T) => agreed(tokens.map(property));
  return {
    username: tokens[0]!.user,
    service: tokens[0]!.service,
    'approvals-required': of(({ required: approvals }) => approvals),
    'number-of-approvals': of(({ approvers }) => approvers.length),
    // HSMs do not count the same second.
    'token-timeout-seconds': Math.min(...tokens.map(({ secondsLeft }) => secondsLeft)),
    'cluster-coverage': tokens.length === hsms ? 'full' : INCONSISTENT,
  };
}

/** "Old names, accepted as aliases [guess]" (reference management-tools, section 10). */
const listQuorumValues = (name: 'list-quorum-values' | 'get-quorum-values') =>
  command({
    path: ['quorum', 'token-sign', name],
    help: 'List current quorum values',
    roles: [],
    options: {},
    run: async ({ cluster }) => {
      const values = await cluster.ofReachable('getQuorumValues', undefined);
      return Object.fromEntries(
        adminServiceNames
          .filter((service) => values.some((value) => value[service] !== undefined))
          .map((service) => [service, agreed(values.map((value) => value[service]))]),
      );
    },
  });

export const quorumCommands = [
  command({
    path: ['quorum', 'token-sign', 'generate'],
    help: 'Generate a token',
    roles: ['CO', 'CU'],
    options: {
      service: required('SERVICE', serviceHelp, oneOf(...serviceNames, 'registration')),
      token: required<string>('TOKEN', 'Filepath where the unsigned token file will be written'),
      filter: many('FILTER', FILTER_HELP),
    },
    run: async ({ cluster }, { service, token, filter }) => {
      const isForKey = service !== 'registration' && isKeyService(service);
      if (isForKey !== filter.length > 0)
        throw usage(
          isForKey
            ? 'the following required arguments were not provided:\n  --filter <FILTER>...'
            : `--filter is for services on keys, not for ${service}`,
        );
      if (service === 'registration') {
        const data = randomBytes(REGISTRATION_BYTES);
        writeRegistration(token, data, digest('sha256', data));
        return { path: token };
      }
      const handle = isForKey ? await selectKey(cluster, filter) : undefined;
      const tokens = await cluster.sendToAll('Token generate', 'getToken', { service, handle });
      const data = Buffer.concat(tokens.map(({ record }) => record));
      const more = handle === undefined ? {} : { service, key_reference: keyReference(handle) };
      writeApproval(token, data, digest('sha256', data), more);
      return { path: token };
    },
  }),
  command({
    path: ['quorum', 'token-sign', 'list'],
    help: 'List tokens',
    roles: ['CO', 'CU'],
    options: {},
    run: async ({ cluster }) => {
      const lists = await cluster.ofReachable('listTokens', undefined);
      const byUse = new Map<string, TokenInfo[]>();
      for (const token of lists.flat()) {
        const use = useOf(token);
        byUse.set(use, [...(byUse.get(use) ?? []), token]);
      }
      const entries = [...byUse.values()].map((tokens) => {
        const [token] = tokens;
        return token?.key === undefined ? tokenEntry(tokens, lists.length) : keyTokenEntry(lists, token);
      });
      return { tokens: entries };
    },
  }),
  listQuorumValues('list-quorum-values'),
  listQuorumValues('get-quorum-values'),
  command({
    path: ['quorum', 'token-sign', 'set-quorum-value'],
    help: 'Set a quorum value',
    roles: ['CO'],
    options: {
      service: required('SERVICE', 'Service the quorum value will be used for', oneOf(...adminServiceNames)),
      value: required('VALUE', 'Value to be set', integer(QUORUM_MIN, QUORUM_MAX)),
      ...approvalOption,
    },
    run: async ({ cluster }, { service, value, approval }) => {
      await bringApprovals(cluster, approval);
      await cluster.sendToAll('Set quorum value', 'setQuorumValue', { service, value });
      return 'Set quorum value successful';
    },
  }),
  command({
    path: ['quorum', 'token-sign', 'list-timeouts'],
    help: 'List timeout durations in seconds for token validity',
    roles: [],
    options: {},
    run: async ({ cluster }) => {
      const timeouts = await cluster.ofReachable('getTokenTimeouts', undefined);
      return Object.fromEntries(
        tokenStates.map((state) => [state, agreed(timeouts.map((one) => one[state]))]),
      );
    },
  }),
  command({
    path: ['quorum', 'token-sign', 'set-timeout'],
    help: 'Set timeout duration in seconds for token validity',
    roles: ['CO'],
    options: {
      generated: optional(
        'GENERATED',
        'Timeout period in seconds for a generated (non-approved) token to be approved',
        timeoutSeconds,
      ),
      approved: optional(
        'APPROVED',
        'Timeout period in seconds for an approved token to be used to execute a quorum operation',
        timeoutSeconds,
      ),
    },
    run: async ({ cluster }, timeouts) => {
      // "<--generated <GENERATED>|--approved <APPROVED>>": one of them.
      const given = tokenStates.filter((state) => timeouts[state] !== undefined);
      if (given.length === 0)
        throw usage(
          'the following required arguments were not provided:\n  <--generated <GENERATED>|--approved <APPROVED>>',
        );
      if (given.length > 1)
        throw usage("the argument '--generated <GENERATED>' cannot be used with '--approved <APPROVED>'");
      await cluster.sendToAll('Set token timeout', 'setTokenTimeouts', timeouts);
      return 'Set token timeout successful';
    },
  }),
  command({
    path: ['quorum', 'token-sign', 'delete'],
    help: 'Delete quorum tokens',
    roles: ['CO'],
    options: { scope: required('SCOPE', 'Scope of which token(s) will be deleted', oneOf('user', 'all')) },
    run: async ({ cluster }, { scope }) => {
      await cluster.sendToAll('Token delete', 'deleteTokens', { scope });
      return 'Deletion of quorum token(s) successful';
    },
  }),
];
