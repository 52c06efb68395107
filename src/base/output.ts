import { describeError } from './errors.js';

/** What a shell shows for a program that SIGPIPE has ended: whoever read the output has enough of it, as `head` has. */
const NOT_READ = 141;
const NOT_WRITTEN = 1;

/**
 * What cannot be written to the standard output gives the program an exit status that says so, whatever status it ends with by itself.
 * What it does goes on: somebody who no longer reads is no reason to leave work half done.
 */
export function watchOutput(program: string): void {
  let status: number | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (status !== undefined) return;
    status = error.code === 'EPIPE' ? NOT_READ : NOT_WRITTEN;
    if (status === NOT_WRITTEN)
      process.stderr.write(
        `${program}: the output could not be written, make room or write it elsewhere: ${describeError(error)}\n`,
      );
  });
  // There is nobody left to tell.
  process.stderr.on('error', () => undefined);
  process.on('exit', (code) => {
    if (status !== undefined && (code === 0 || status === NOT_READ)) process.exitCode = status;
  });
}

/** Runs a tool with the words of the command line; the process ends with its exit status. */
export async function runTool(
  program: string,
  main: (words: readonly string[]) => Promise<number>,
): Promise<void> {
  watchOutput(program);
  process.exitCode = await main(process.argv.slice(2));
}
