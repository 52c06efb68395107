import type { Hsm } from './hsm.js';

interface MetricRow {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  /** "Not reported on hsm2m.medium". */
  readonly hsm1Only?: true;
  value(hsm: Hsm): number;
}

/** THE row per metric that CloudWatch has of an HSM (reference management-tools, section 8.3), without HsmTemperature: nothing here
 * gets warm. */
export const hsmMetrics: readonly MetricRow[] = [
  {
    name: 'HsmUnhealthy',
    help: 'HSM not working properly',
    type: 'gauge',
    value: ({ condition }) => (condition === undefined ? 0 : 1),
  },
  {
    name: 'HsmKeysSessionOccupied',
    help: 'Session keys in use',
    type: 'gauge',
    value: ({ counts }) => counts.sessionKeys,
  },
  {
    name: 'HsmKeysTokenOccupied',
    help: 'Token keys in use',
    type: 'gauge',
    value: ({ counts }) => counts.keys - counts.sessionKeys,
  },
  {
    name: 'HsmSslCtxsOccupied',
    help: 'End-to-end encrypted channels',
    type: 'gauge',
    hsm1Only: true,
    value: ({ traffic }) => traffic.connections,
  },
  {
    name: 'HsmSessionCount',
    help: 'Open connections to the HSM',
    type: 'gauge',
    value: ({ openSessions }) => openSessions,
  },
  {
    name: 'HsmUsersAvailable',
    help: 'Users that can still be created',
    type: 'gauge',
    value: ({ users }) => users.max - users.count(),
  },
  {
    name: 'HsmUsersMax',
    help: 'Users that the HSM has room for',
    type: 'gauge',
    hsm1Only: true,
    value: ({ users }) => users.max,
  },
  {
    name: 'InterfaceEth2OctetsInput',
    help: 'Bytes that came over the network',
    type: 'counter',
    value: ({ traffic }) => traffic.read,
  },
  {
    name: 'InterfaceEth2OctetsOutput',
    help: 'Bytes that left over the network',
    type: 'counter',
    value: ({ traffic }) => traffic.written,
  },
];

export const isReported = ({ hsm1Only }: MetricRow, { settings }: Hsm): boolean =>
  hsm1Only !== true || settings.hsmType === 'hsm1.medium';
