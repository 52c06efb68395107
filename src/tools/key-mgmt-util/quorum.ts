import type { KeyCommandRow } from './command.js';

/** The commands of a quorum over the use of keys. Their flags are not documented, and simulated HSMs have no such quorum: they say so,
 * rather than let a program believe in approvals that nobody asks for. */
const keyQuorum = (name: string, purpose: string): KeyCommandRow => ({
  name,
  group: 'M of N Commands',
  purpose,
  flags: {},
  run: async (session) => {
    session.failed = true;
    session.print(
      '',
      `Error: ${name}: simulated HSMs have no quorum for the use of keys; cloudhsm_mgmt_util has the one for users`,
      '',
    );
  },
});

export const quorumCommands: readonly KeyCommandRow[] = [
  keyQuorum('getToken', 'gets a token for the use of a key'),
  keyQuorum('approveToken', 'approves such a token'),
  keyQuorum('listTokens', 'lists such tokens'),
  keyQuorum('delToken', 'deletes such tokens'),
];
