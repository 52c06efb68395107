import { describeError } from '../../base/errors.js';
import { readSdk5Clusters } from '../connection/cluster-access.js';
import { isUsage, usage } from '../failure.js';
import { prefixPath } from '../prefix.js';
import { StreamTerminal, type TerminalStreams } from '../terminal.js';
import { interactiveCommand } from './commands/index.js';
import { CliClusters } from './context.js';
import { cliCompletions, complete, interact, remember } from './interactive.js';
import { cliHelp, parseCli, printed, runCommand, TOOL } from './run.js';

/** Exit statuses: that a failure is not 0 is a guess of the reference (management-tools, section 6.1), the numbers are ours. */
export const exitStatus = { done: 0, failed: 1, usage: 2 } as const;

const version = 'CloudHSM CLI 5.18.0 (cloudhsm-local)';

interface GlobalOptions {
  readonly config: string;
  readonly words: readonly string[];
}

/** Takes `--config FILE` off the words. */
function globalOptions(words: readonly string[]): GlobalOptions {
  const rest = [...words];
  const taken = (name: string): string | undefined => {
    const at = rest.findIndex((word) => word === name || word.startsWith(`${name}=`));
    if (at < 0) return undefined;
    const [word = ''] = rest.splice(at, 1);
    if (word !== name) return word.slice(name.length + 1);
    const [value] = rest.splice(at, 1);
    if (value === undefined) throw usage(`a value is required for '${name}' but none was supplied`);
    return value;
  };
  const config = taken('--config') ?? prefixPath('etc', 'cloudhsm-cli.cfg');
  return { config, words: rest };
}

/** Passwords on a command line are seen by everybody who lists processes. */
function warnOfSecrets(words: readonly string[], complain: (text: string) => void): void {
  const shown = words.find((word) => !remember(word))?.replace(/=.*/s, '');
  if (shown !== undefined)
    complain(`warning: ${shown} is visible to other users of this machine: leave it out to be asked for it`);
}

/** Runs the tool to its end; its exit status. */
export async function cloudhsmCli(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  streams?: TerminalStreams,
): Promise<number> {
  const terminal = new StreamTerminal(streams, { complete, remember });
  let clusters: CliClusters | undefined;
  try {
    const { config, words } = globalOptions(argv);
    if (words[0] === '-V' || words[0] === '--version') {
      terminal.print(version);
      return exitStatus.done;
    }
    if (words[0] === '--complete') {
      terminal.print(cliCompletions(words.slice(1)).join('\n'));
      return exitStatus.done;
    }
    const parsed = parseCli(words);
    if (parsed.is === 'help') {
      terminal.print(cliHelp(parsed.path));
      return exitStatus.done;
    }
    const isInteractive = parsed.row === interactiveCommand;
    const usual = isInteractive ? (parsed.values['cluster-id'] as string | undefined) : undefined;
    clusters = new CliClusters(readSdk5Clusters(config), usual);
    // What cannot be reached is said at once.
    if (!clusters.several || usual !== undefined) await clusters.get();
    if (isInteractive) {
      await interact(terminal, env, clusters);
      return exitStatus.done;
    }
    warnOfSecrets(words, (text) => terminal.complain(text));
    const envelope = await runCommand(parsed, { terminal, env, clusters, single: true });
    terminal.print(printed(envelope));
    return envelope.error_code === 0 ? exitStatus.done : exitStatus.failed;
  } catch (error) {
    const isWrongUse = isUsage(error);
    terminal.complain(
      isWrongUse
        ? `error: ${error.message}\n\nFor more information, try '${TOOL} --help'.`
        : // "Startup failure when no HSM answers" (section 6.1), and why.
          `Failed to initialize hsm1 context\n${describeError(error)}`,
    );
    return isWrongUse ? exitStatus.usage : exitStatus.failed;
  } finally {
    terminal.close();
    await clusters?.close().catch(() => undefined);
  }
}
