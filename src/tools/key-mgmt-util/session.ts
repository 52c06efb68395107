import { Failure } from '../../base/errors.js';
import type { Eventually } from '../../base/eventually.js';
import type { ClusterClient } from '../../cluster/cluster-client.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import type { GroupMember, HsmGroup } from '../connection/hsm-group.js';
import { refused } from '../failure.js';
import { type HsmErrorName, hsmErrorName, hsmErrors, saysEnough } from '../sdk3/hsm-errors.js';
import type { Terminal } from '../terminal.js';

/** `0x00 : HSM Return: SUCCESS` */
const outcome = (answer: HsmErrorName = 'SUCCESS', digits = 2): string => {
  const { number, text } = hsmErrors[answer];
  return `0x${number.toString(16).padStart(digits, '0')} : ${text}`;
};

const stateLine = (node: number, error: HsmErrorName | undefined): string =>
  `        Node id ${node} and err state ${outcome(error, 8)}`;

/** A policy that an HSM refuses by: "node line then 0x30000085" (reference management-tools, section 5.1). */
const nodeError = (error: HsmErrorName): HsmErrorName => (error === 'POLICY' ? 'UNAVAILABLE' : error);

/** The tokens of one `getToken`: one of each HSM. */
interface IssuedTokens {
  readonly approvalData: Buffer;
  /** Their ids, by HSM. */
  readonly ids: ReadonlyMap<string, number>;
}

/** What somebody at key_mgmt_util works with: one cluster, whose HSMs are the nodes. */
export class KeySession {
  #client: ClusterClient | undefined;
  /** On how many HSMs a new key must be: the larger of the file's and of `-min_srv`. */
  #minimumNodes: number;
  #tokens: IssuedTokens[] = [];
  user: string | undefined;
  ended = false;
  failed = false;

  constructor(
    readonly terminal: Terminal,
    readonly group: HsmGroup,
    private readonly configuredNodes: number,
    /** The file. */
    readonly trustAnchor: string,
  ) {
    this.#minimumNodes = configuredNodes;
  }

  /** A new login, or its end: session keys of the one before are gone. */
  setUser(user: string | undefined): void {
    this.#client?.close();
    this.#client = undefined;
    this.#tokens = [];
    this.user = user;
  }

  noteTokens(tokens: IssuedTokens): void {
    this.#tokens.push(tokens);
  }

  /** Where one HSM has used up its token, the others' are deleted: what was approved once is done once. */
  async #deleteSpentTokens(): Promise<void> {
    if (this.#tokens.length === 0) return;
    const lists = await this.group.each(async (connection) => ({
      hsmId: connection.hsmId,
      ids: new Set((await connection.send('listTokens', undefined)).map(({ id }) => id)),
    }));
    const isSpent = ({ ids }: IssuedTokens): boolean =>
      lists.some(({ result }) => {
        const id = result.status === 'fulfilled' ? ids.get(result.value.hsmId) : undefined;
        return result.status === 'fulfilled' && id !== undefined && !result.value.ids.has(id);
      });
    const spent = this.#tokens.filter(isSpent);
    this.#tokens = this.#tokens.filter((tokens) => !spent.includes(tokens));
    for (const { approvalData } of spent)
      await this.group.each((connection) =>
        connection.send('deleteTokens', { scope: 'these', approvalData }),
      );
  }

  /** The cluster, for commands on keys. */
  get client(): ClusterClient {
    const nodes = (): number => this.#minimumNodes;
    this.#client ??= this.group.client({
      keyAvailability: 'off',
      get minimumNodes() {
        return nodes();
      },
    });
    return this.#client;
  }

  /** `-min_srv` of one command. Throws REFUSED when the cluster has not as many HSMs. */
  requireNodes(asked: number | undefined): void {
    this.#minimumNodes = Math.max(this.configuredNodes, asked ?? 1);
    const { length } = this.group.members;
    if (this.#minimumNodes > length)
      throw refused(`-min_srv and create_object_minimum_nodes: the cluster has ${length} HSMs`);
  }

  print(...lines: readonly string[]): void {
    for (const line of lines) this.terminal.print(line);
  }

  /** `Cfm3FindKey returned: 0x00 : HSM Return: SUCCESS`, between empty lines. */
  printReturn(name: string, error?: HsmErrorName): void {
    this.print('', `        ${name} returned: ${outcome(error)}`, '');
  }

  /** The state of each HSM after a command that all of them took part in. */
  printNodes(error?: HsmErrorName): void {
    this.print('        Cluster Error Status');
    for (const { index, connected } of this.group.members)
      this.print(stateLine(index, connected ? error && nodeError(error) : 'UNAVAILABLE'));
  }

  /** Says that a call failed, and, where the tool's own text says too little, why. */
  printFailure(name: string, error: unknown): void {
    if (!(error instanceof Failure)) throw error;
    this.failed = true;
    const code = hsmErrorName(error);
    this.printReturn(name, code);
    if (!saysEnough(code)) this.print(`        ${error.message}`, '');
  }

  /** Does a command on the cluster, and says how it went on its HSMs; undefined when it failed. */
  async call<T>(name: string, work: (client: ClusterClient) => Eventually<T>): Promise<T | undefined> {
    try {
      const done = await work(this.client);
      await this.#deleteSpentTokens();
      return done;
    } catch (error) {
      this.printFailure(name, error);
      this.printNodes(hsmErrorName(error));
      return undefined;
    }
  }

  /** Runs something on every HSM, and says how it went on each, behind what is to be said of it if it went well; whether it went
   * well on those that can be reached. */
  async onEach(
    name: string,
    work: (connection: HsmConnection, member: GroupMember) => Eventually<unknown>,
    said: () => readonly string[] = () => [],
  ): Promise<boolean> {
    const results = await this.group.each(work);
    const reasons = results.map(({ result }): unknown =>
      result.status === 'rejected' ? result.reason : undefined,
    );
    const reached = results.filter(({ member }) => member.connected);
    const failure =
      reasons.find((reason) => reason !== undefined && hsmErrorName(reason) !== 'UNAVAILABLE') ??
      (reached.length === 0 ? reasons[0] : undefined);
    if (failure === undefined) {
      this.printReturn(name);
      this.print(...said());
    } else this.printFailure(name, failure);
    this.print('        Cluster Error Status');
    for (const [node, reason] of reasons.entries())
      this.print(stateLine(node, reason === undefined ? undefined : hsmErrorName(reason)));
    return failure === undefined;
  }

  close(): void {
    this.#client?.close();
    this.group.close();
  }
}
