import { expect } from 'chai';
import { ClusterClient } from '../../src/cluster/cluster-client.js';

/** The commands that clients give to HSMs. */
export class SentCommands {
  /** Their names, since the last look. */
  names: string[] = [];

  /** Runs it until the engine answers by itself, which is shown by no more commands. */
  async untilRepeated(run: () => Promise<unknown>): Promise<void> {
    for (let time = 0; time < 5; time++) await run();
    this.names = [];
    await run();
    expect(this.names, 'commands while it is repeated').to.deep.equal([]);
  }
}

/** Within a suite: what is sent in each of its tests. */
export function watchSentCommands(): SentCommands {
  const sent = new SentCommands();
  const { send } = ClusterClient.prototype;
  before(() => {
    ClusterClient.prototype.send = function (this: ClusterClient, ...given: Parameters<typeof send>) {
      sent.names.push(given[0]);
      return send.apply(this, given);
    } as typeof send;
  });
  after(() => {
    ClusterClient.prototype.send = send;
  });
  beforeEach(() => {
    sent.names = [];
  });
  return sent;
}
