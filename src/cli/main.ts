import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { asCommandFailure, commandFailures, describeError, Failure } from '../base/errors.js';
import { watchOutput } from '../base/output.js';
import { faultKinds } from '../hsm/faults.js';
import { completionScripts, localCompletions } from './completion.js';
import { findHome } from './home.js';
import { version } from './installation.js';

// Each command imports what it needs when it runs: most need little, and all are to answer at once.

const program = new Command('cloudhsm-local')
  .description('An AWS CloudHSM on this machine: simulated HSMs behind a PKCS#11 module')
  .version(version, '-V, --version', 'what this is')
  .showHelpAfterError()
  // It would end before it is known whether its help has been written.
  .exitOverride()
  .enablePositionalOptions();

const homeOption = (): Option =>
  new Option(
    '--home <dir>',
    'where this engine keeps everything (default: $CLOUDHSM_LOCAL_HOME, else the XDG state folder)',
  );

function seconds(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It takes whole seconds.');
  return Number(text);
}

const command = (name: string, description: string): Command =>
  program.command(name).description(description).addOption(homeOption());

command('up', 'start the cluster and run it until Ctrl-C')
  .option('--hsms <n>', 'HSMs in the cluster, chosen when the home is first used (default: 2)')
  .addOption(
    new Option('--profile <profile>', 'how strictly to behave as CloudHSM').choices(['strict', 'compatible']),
  )
  .option('--config <file>', 'settings as JSON; options above override them')
  .option('--detach', 'return when the cluster is ready, and leave it running')
  .action(async (options) => (await import('./commands/up.js')).upCommand(findHome(options.home), options));

command('down', 'end the running engine').action(async (options) =>
  (await import('./commands/down.js')).downCommand(findHome(options.home)),
);

command('reset', 'end the running engine and forget its home: users, keys, everything').action(
  async (options) => (await import('./commands/down.js')).resetCommand(findHome(options.home)),
);

command('status', 'what is running')
  .option('--json', 'for programs')
  .action(async (options) =>
    (await import('./commands/status.js')).statusCommand(findHome(options.home), options.json === true),
  );

command('report', 'what programs did that CloudHSM refuses, and how to fix it; also after `down`')
  .option('--json', 'for programs')
  .option('--fail-on-deviation', 'exit with status 1 if there is any')
  .option('--clear', 'forget what was recorded, to begin anew')
  .action(async (options) =>
    (await import('./commands/report.js')).reportCommand(findHome(options.home), options),
  );

command('logs', "the HSMs' audit logs: who logged in, and what was done to users and keys")
  .argument('[hsm-id]', 'of this HSM only')
  .option('--verify', 'whether a log was tampered with; exit with status 1 if so')
  .option('--json', 'for programs')
  .action(async (hsmId, options) =>
    (await import('./commands/logs.js')).logsCommand(findHome(options.home), hsmId, options),
  );

command('backups', 'backups that the service keeps, and where they are; also after `down`')
  .option('--json', 'for programs')
  .option('--config <file>', 'settings as JSON that the engine was given, if it does not run')
  .action(async (options) =>
    (await import('./commands/backups.js')).backupsCommand(findHome(options.home), options),
  );

command(
  'metrics',
  'what the engine counts, as Prometheus reads it: GET /metrics on the control socket',
).action(async (options) => (await import('./commands/metrics.js')).metricsCommand(findHome(options.home)));
command('init', 'make the cluster of a home whose HSMs run in processes of their own')
  .option('--hsms <n>', 'HSMs in the cluster (default: 2)')
  .option('--config <file>', 'settings as JSON; options above override them')
  .action(async (options) =>
    (await import('./commands/split.js')).initCommand(findHome(options.home), options),
  );

command(
  'add-hsm',
  "make one HSM more for a home's cluster, with what the others have: running clients use it once it runs",
)
  .option('--config <file>', 'settings as JSON')
  .action(async (options) =>
    (await import('./commands/membership.js')).addHsmCommand(findHome(options.home), options),
  );

command(
  'remove-hsm',
  "end an HSM of a home's cluster: the others must have what it has, and clients let go of it",
)
  .argument('<hsm>', 'its id, or its number in the cluster')
  .option('--config <file>', 'settings as JSON')
  .action(async (hsm, options) =>
    (await import('./commands/membership.js')).removeHsmCommand(findHome(options.home), hsm, options),
  );

command('hsm', 'run one HSM of a home that `init` has made, until Ctrl-C')
  .argument('<hsm>', 'its id, or its number in the cluster')
  .option('--config <file>', 'settings as JSON')
  .action(async (hsm, options) =>
    (await import('./commands/split.js')).hsmCommand(findHome(options.home), hsm, options),
  );

command('client', 'run what programs connect to, beside HSMs in other processes, until Ctrl-C')
  .requiredOption(
    '--servers <file>',
    'cloudhsm-pkcs11.cfg or cloudhsm_client.cfg: where the HSMs are, and the certificates',
  )
  .option('--wait <seconds>', 'for an HSM, where none listens yet', seconds, 60)
  .option('--config <file>', 'settings as JSON')
  .action(async (options) =>
    (await import('./commands/split.js')).clientCommand(findHome(options.home), options),
  );

command(
  'control-plane',
  'run the cloudhsmv2 API alone, with the HSMs of its clusters, for clients elsewhere, until Ctrl-C',
)
  .option('--config <file>', 'settings as JSON')
  .action(async (options) =>
    (await import('./commands/split.js')).controlPlaneCommand(findHome(options.home), options),
  );

command('fault', 'make something go wrong with one HSM')
  .argument('<hsm-id>')
  .addArgument(new Argument('<kind>').choices(faultKinds))
  .action(async (hsm, kind, options) =>
    (await import('./commands/fault.js')).faultCommand(findHome(options.home), hsm, kind),
  );

command('heal', 'end what is wrong with an HSM')
  .argument('<hsm-id>')
  .action(async (hsm, options) =>
    (await import('./commands/fault.js')).healCommand(findHome(options.home), hsm),
  );

command('env', 'shell exports for programs that use the cluster: eval "$(cloudhsm-local env)"').action(
  async (options) => (await import('./commands/env.js')).envCommand(findHome(options.home)),
);

command('install', "lay out the tree of AWS's packages, so that what names its files runs as it is")
  .requiredOption('--prefix <dir>', 'where to: /opt/cloudhsm is where programs look')
  .action(async (options) =>
    (await import('./commands/install.js')).installCommand(findHome(options.home), options.prefix),
  );

command(
  'completion',
  'what a shell reads to complete cloudhsm-local and cloudhsm-cli: eval "$(cloudhsm-local completion bash)"',
)
  .addArgument(new Argument('<shell>').choices(['bash', 'zsh']))
  .action((shell: keyof typeof completionScripts) => console.log(completionScripts[shell]));

watchOutput('cloudhsm-local');
try {
  const [first, ...words] = process.argv.slice(2);
  if (first === '--complete') console.log(localCompletions(program, words).join('\n'));
  else await program.parseAsync();
} catch (thrown) {
  process.exitCode = thrown instanceof CommanderError ? thrown.exitCode : complain(asCommandFailure(thrown));
}

/** One line for a person; the answer is what scripts look at. */
function complain(error: unknown): number {
  console.error(`cloudhsm-local: ${describeError(error)}`);
  const code =
    error instanceof Failure ? commandFailures[error.code as keyof typeof commandFailures] : undefined;
  return code ?? 1;
}
