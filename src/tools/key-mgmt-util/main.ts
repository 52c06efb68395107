import { describeError } from '../../base/errors.js';
import { readDaemonConfig } from '../connection/cluster-access.js';
import { prefixPath } from '../prefix.js';
import { StreamTerminal } from '../terminal.js';
import { completions, mayRemember, runKeyTool } from './tool.js';

const USAGE = `key_mgmt_util: manages the keys of a crypto user

Syntax: key_mgmt_util
        key_mgmt_util singlecmd loginHSM -u CU -s <user> {-p <password> | -hpswd} <command> ...

The cluster is that of ${prefixPath('etc', 'cloudhsm_client.cfg')}.`;

/** Runs the tool to its end; its exit status. */
export async function keyMgmtUtil(argv: readonly string[]): Promise<number> {
  const [first, ...words] = argv;
  if (['-h', '--help', '-help'].includes(first ?? '')) {
    console.log(USAGE);
    return 0;
  }
  if (first !== undefined && first !== 'singlecmd') {
    console.error(`key_mgmt_util: the arguments are not understood\n${USAGE}`);
    return 1;
  }
  try {
    const access = readDaemonConfig(prefixPath('etc', 'cloudhsm_client.cfg'));
    const terminal = new StreamTerminal(undefined, { complete: completions, remember: mayRemember });
    if (first === 'singlecmd' && words.includes('-p'))
      terminal.complain(
        'warning: -p is visible to other users of this machine: -hpswd asks for the password',
      );
    return await runKeyTool({ terminal, access, ...(first === 'singlecmd' && { words }) });
  } catch (error) {
    console.error(`key_mgmt_util: ${describeError(error)}`);
    return 1;
  }
}
