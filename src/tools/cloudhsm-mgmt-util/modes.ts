import { type CommandRow, findCommand, usageOf } from './command.js';
import { DISCONNECTING } from './texts.js';

const server: CommandRow = {
  name: 'server',
  purpose: 'enters server mode: commands go to one HSM only',
  who: 'everybody',
  arguments: [{ name: 'server', kind: 'number' }],
  run: async (session, given) => {
    const index = given.number('server');
    const entered = session.servers[index];
    if (entered === undefined) {
      session.print(`there is no server ${index}: \`info server\` lists them`);
      return;
    }
    if (session.connectionTo(entered) === undefined) return;
    session.mode = entered;
    session.print('', "Server is in 'E2' mode...");
  },
};

const exit: CommandRow = {
  name: 'exit',
  purpose: 'leaves server mode; in global mode, the tool',
  who: 'everybody',
  arguments: [],
  run: async (session) => {
    if (session.mode === undefined) {
      session.print(DISCONNECTING);
      session.ended = true;
    }
    session.mode = undefined;
  },
};

const quit: CommandRow = {
  name: 'quit',
  purpose: 'leaves the tool',
  who: 'everybody',
  arguments: [],
  run: async (session) => {
    session.print(DISCONNECTING);
    session.ended = true;
  },
};

const enableE2e: CommandRow = {
  name: 'enable_e2e',
  purpose: 'encrypts the way to the HSMs: newer releases do it when they start',
  who: 'everybody',
  arguments: [],
  run: async (session) => {
    for (const one of session.targets) {
      if (one.connection === undefined) await one.connect(session);
      if (one.connection !== undefined) session.print(`E2E enabled on ${one.title}`);
    }
  },
};

/** `help`, which knows of all rows, itself included. */
export function modeCommands(all: () => readonly CommandRow[]): readonly CommandRow[] {
  const help: CommandRow = {
    name: 'help',
    purpose: 'tells what commands there are, or how one is written',
    who: 'everybody',
    arguments: [{ name: 'command', kind: 'text', optional: true }],
    run: async (session, given) => {
      const name = given.find('command');
      if (name === undefined) {
        const width = Math.max(...all().map((row) => row.name.length));
        session.print(
          'Commands, which may be shortened as long as it is clear which one is meant:',
          '',
          ...all().map((row) => `  ${row.name.padEnd(width)}  ${row.purpose}`),
          '',
          'help <command> tells how a command is written.',
        );
        return;
      }
      const found = findCommand(all(), name);
      const rows = 'name' in found ? [found] : found;
      if (rows.length === 0) session.print('there is no such command: `help` lists them');
      for (const row of rows)
        session.print(`${row.name}: ${row.purpose}`, `  Syntax: ${usageOf(row)}`, `  Who may: ${row.who}`);
    },
  };
  return [server, exit, quit, enableE2e, help];
}
