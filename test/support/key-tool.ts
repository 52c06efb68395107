import { readDaemonConfig } from '../../src/tools/connection/cluster-access.js';
import { runKeyTool } from '../../src/tools/key-mgmt-util/tool.js';
import { PASSWORD } from './in-process.js';
import type { TestPrefix } from './prefix.js';
import { ScriptedTerminal } from './scripted-terminal.js';

const CRYPTO_USER_LOGIN = `loginHSM -u CU -s crypto_user -p "${PASSWORD}"`;

/** What key_mgmt_util prints when crypto_user logs in and types these lines. */
export async function typeToKeyTool(prefix: TestPrefix, ...lines: readonly string[]): Promise<string> {
  const terminal = new ScriptedTerminal([CRYPTO_USER_LOGIN, ...lines, 'exit'], () => undefined);
  await runKeyTool({ terminal, access: readDaemonConfig(prefix.path('etc/cloudhsm_client.cfg')) });
  return terminal.printed.join('\n');
}
