import type { CommandRow } from '../command-row.js';
import { refused } from '../failure.js';
import { helpText } from '../help.js';
import { parseWords } from '../parsing.js';
import type { Terminal } from '../terminal.js';
import type { CliCluster } from './cluster.js';
import { cliCommands, cliGroups, commonOptions } from './commands/index.js';
import { logIn } from './commands/login.js';
import type { CliClusters, CliContext } from './context.js';
import { environmentLogin } from './environment.js';
import { messageOf } from './messages.js';
import { roleNames, roleOf } from './names.js';

export const TOOL = 'cloudhsm-cli';

export type CliParsed =
  | {
      readonly is: 'command';
      readonly row: CommandRow<CliContext>;
      readonly values: Readonly<Record<string, unknown>>;
    }
  | { readonly is: 'help'; readonly path: readonly string[] };

/** What words ask of the CLI. Throws USAGE. */
export function parseCli(words: readonly string[]): CliParsed {
  return parseWords(cliCommands, words, commonOptions);
}

export function cliHelp(path: readonly string[]): string {
  const about = 'CloudHSM CLI: administers users and keys of a CloudHSM cluster';
  return helpText({ tool: TOOL, about, rows: cliCommands, groups: cliGroups, common: commonOptions }, path);
}

/** The result of a command, or its error, as it is printed (reference management-tools, section 6.1). */
export interface Envelope {
  readonly error_code: 0 | 1;
  readonly data: unknown;
}

export const printed = (envelope: Envelope): string => JSON.stringify(envelope, null, 2);

interface Runner {
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  readonly clusters: CliClusters;
  /** Single-command mode: credentials come from the environment. */
  readonly single: boolean;
}

async function requireRole(
  { roles }: CommandRow<CliContext>,
  cluster: CliCluster,
  { single, env, terminal }: Runner,
): Promise<void> {
  if (roles.length === 0) return;
  if (single && cluster.login === undefined) await logIn(cluster, terminal, environmentLogin(env));
  const role = cluster.login?.role;
  if (role === undefined) throw refused('this command needs a login: use the login command first');
  if (!roles.includes(roleOf(role))) {
    const able = roles.map((one) => roleNames[one]).join(' or ');
    throw refused(
      `this command is for users with the role ${able}, and ${cluster.login!.username} is ${role}`,
    );
  }
}

/** Runs one command; what goes wrong is in the envelope. */
export async function runCommand(
  { row, values }: Extract<CliParsed, { is: 'command' }>,
  runner: Runner,
): Promise<Envelope> {
  try {
    const { terminal, env, clusters, single } = runner;
    const named = values['cluster-id'] ?? values['source-cluster-id'];
    const cluster = await clusters.get(named as string | undefined);
    await cluster.reconnect();
    await requireRole(row, cluster, runner);
    const data = await row.run({ terminal, env, clusters, cluster, single }, values);
    return { error_code: 0, data };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'USAGE') throw error;
    return { error_code: 1, data: messageOf(error) };
  }
}
