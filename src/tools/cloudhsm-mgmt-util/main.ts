import { describeError } from '../../base/errors.js';
import { MANAGEMENT_PORT, type ManagedServer, readManagedServers } from '../connection/cluster-access.js';
import { usage } from '../failure.js';
import { prefixPath } from '../prefix.js';
import { StreamTerminal } from '../terminal.js';
import { completions, mayRemember, runManagementTool } from './tool.js';

const USAGE = `cloudhsm_mgmt_util: manages the users of HSMs, and shares their keys

Syntax: cloudhsm_mgmt_util [<configuration file>]
        cloudhsm_mgmt_util -server <host>[:<port>] ...

Without a file it is ${prefixPath('etc/cloudhsm_mgmt_util.cfg')}; -server names HSMs instead, with the certificates of that folder.`;

/** HSMs that are named on the command line, with the files that the packages install. */
function namedServers(words: readonly string[]): ManagedServer[] {
  const identity = {
    certificate: prefixPath('etc/client.crt'),
    privateKey: prefixPath('etc/client.key'),
    trustAnchor: prefixPath('etc/customerCA.crt'),
  };
  return words.map((word) => {
    const [, host = '', digits] = /^([^:\s]+)(?::(\d{1,5}))?$/.exec(word) ?? [];
    const port = digits === undefined ? MANAGEMENT_PORT : Number(digits);
    if (host === '' || port < 1 || port > 65_535)
      throw usage('-server takes addresses such as 10.0.0.1:2225');
    return { name: host, host, port, identity };
  });
}

function configured(words: readonly string[]): ManagedServer[] {
  const [first, ...others] = words;
  if (first === '-server' && others.length > 0)
    return namedServers(others.filter((word) => word !== '-server'));
  if (others.length > 0 || first?.startsWith('-')) throw usage(`the arguments are not understood\n${USAGE}`);
  return readManagedServers(first ?? prefixPath('etc/cloudhsm_mgmt_util.cfg'));
}

/** Runs the tool to its end; its exit status. */
export async function cloudhsmMgmtUtil(argv: readonly string[]): Promise<number> {
  if (['-h', '--help', '-help'].includes(argv[0] ?? '')) {
    console.log(USAGE);
    return 0;
  }
  try {
    const servers = configured(argv);
    const terminal = new StreamTerminal(undefined, { complete: completions, remember: mayRemember });
    await runManagementTool(terminal, servers);
    return 0;
  } catch (error) {
    console.error(`cloudhsm_mgmt_util: ${describeError(error)}`);
    return 1;
  }
}
