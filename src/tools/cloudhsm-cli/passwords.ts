import { refused } from '../failure.js';
import type { Terminal } from '../terminal.js';

/** The password of the command line, with a warning that others may have seen it, or one that is typed without echo. */
export async function passwordFor(terminal: Terminal, given: string | undefined): Promise<string> {
  return given ?? (await typed(terminal, 'Enter password:'));
}

/** A password that is to be set: typed twice. Throws REFUSED. */
export async function newPasswordFor(terminal: Terminal, given: string | undefined): Promise<string> {
  const password = given ?? (await typed(terminal, 'Enter password:'));
  if (given === undefined && (await typed(terminal, 'Confirm password:')) !== password)
    throw refused('the two passwords are not the same');
  // CLOUDHSM_PIN is `user:password` (reference management-tools, section 1.3).
  if (password.includes(':')) throw refused('a password has no colon');
  return password;
}

async function typed(terminal: Terminal, prompt: string): Promise<string> {
  const password = await terminal.ask(prompt, { hidden: true });
  if (password === undefined) throw refused('no password was given');
  return password;
}
