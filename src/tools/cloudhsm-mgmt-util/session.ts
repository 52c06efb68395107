import { describeError, Failure } from '../../base/errors.js';
import type { Eventually } from '../../base/eventually.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import type { ManagedServer } from '../connection/cluster-access.js';
import { GroupMember } from '../connection/hsm-group.js';
import { readIdentity } from '../connection/identity.js';
import { shortErrorText } from '../sdk3/hsm-errors.js';
import type { Terminal } from '../terminal.js';
import { withoutOwnerCertificate } from './texts.js';

/** Who is logged in on a server: the type as it was given. */
export interface ServerLogin {
  readonly name: string;
  readonly userType: string;
}

/** One HSM of the configuration file. Its number is its place there. */
export class Server {
  #member: GroupMember | undefined;
  login: ServerLogin | undefined;

  constructor(
    readonly index: number,
    readonly configured: ManagedServer,
  ) {}

  /** `server 0(10.0.2.9)`. */
  get title(): string {
    return `server ${this.index}(${this.configured.name})`;
  }

  get connection(): HsmConnection | undefined {
    return this.#member?.connected ? this.#member.connection : undefined;
  }

  /** Connects, and says on the terminal how that went. */
  async connect({ terminal }: { terminal: Terminal }): Promise<void> {
    if (this.connection !== undefined) return;
    this.login = undefined;
    const { name, host, port, identity } = this.configured;
    const place = `server '${name}': hostname '${host}', port ${port}`;
    terminal.print(`Connecting to ${place}...`);
    let member: GroupMember;
    try {
      member = new GroupMember(this.index, this.configured, readIdentity(identity));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Ours: what the limited mode would let through goes without encryption, so nothing does.
      if (error.message.endsWith(identity.trustAnchor))
        terminal.print(withoutOwnerCertificate(identity.trustAnchor, `Server ${this.title.slice(7)}`));
      else terminal.print(`Failed to connect to ${place}: ${describeError(error)}`);
      return;
    }
    if (await member.connect()) {
      this.#member = member;
      terminal.print(`Connected to ${place}.`);
    } else terminal.print(`Failed to connect to ${place}: ${member.failure}`);
  }

  close(): void {
    this.#member?.close();
  }
}

/** What somebody at the tool works with. */
export class Session {
  /** The server that commands go to; none: all of them. */
  mode: Server | undefined;
  ended = false;

  constructor(
    readonly terminal: Terminal,
    readonly servers: readonly Server[],
  ) {}

  get prompt(): string {
    return this.mode === undefined ? 'aws-cloudhsm>' : `server${this.mode.index}>`;
  }

  /** The servers that a command is for. */
  get targets(): readonly Server[] {
    return this.mode === undefined ? this.servers : [this.mode];
  }

  get reachable(): readonly Server[] {
    return this.targets.filter(({ connection }) => connection !== undefined);
  }

  /** ` on server 0(10.0.2.9)`, which is left out where there is only one server to speak of. */
  on(server: Server): string {
    return this.mode === undefined ? ` on ${server.title}` : '';
  }

  print(...lines: readonly string[]): void {
    for (const line of lines) this.terminal.print(line);
  }

  /** A server's connection; says so if there is none. */
  connectionTo(server: Server): HsmConnection | undefined {
    const { connection } = server;
    if (connection === undefined)
      this.print(`Server ${server.index}(${server.configured.name}) is not connected`);
    return connection;
  }

  printFailure(command: string, server: Server, error: unknown): void {
    this.print(`${command} failed: ${shortErrorText(error)}`, `${command} failed${this.on(server)}`);
  }

  /** Does something on one server after the other, and says of each that failed why. */
  async each(
    command: string,
    work: (connection: HsmConnection, server: Server) => Eventually<void>,
  ): Promise<void> {
    for (const server of this.targets) {
      const connection = this.connectionTo(server);
      if (connection === undefined) continue;
      try {
        await work(connection, server);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.printFailure(command, server, error);
      }
    }
  }
}
