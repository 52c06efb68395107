import { expect } from 'chai';
import { buildNative, nativeProgram, type Outcome, runProgram } from '../../native/build-native.js';
import { modulePath, TestEngine } from '../../support/engine.js';

/*
 * What real programs do to a PKCS#11 module, by a C program (native/pkcs11/test/behaviour_*.c) against a real engine.
 * Its lines are what each call answered. The row numbers are those of the list of client behaviours, part A.
 */

type OnLine = (line: string) => Promise<void> | undefined;

/** The C program, with an engine of its own. */
export class BehaviourClient {
  private constructor(readonly engine: TestEngine) {}

  /** `options` go to `cloudhsm-local up`. */
  static async start(options: readonly string[] = []): Promise<BehaviourClient> {
    buildNative();
    return new BehaviourClient(await TestEngine.start(options));
  }

  stop(): Promise<void> {
    return this.engine.stop();
  }

  /** The module refuses quietly: the C program's stderr stays empty, and no signal ends it. */
  async play(scene: string, onLine?: OnLine): Promise<readonly string[]> {
    const env = { CLOUDHSM_LOCAL_SOCKET: this.engine.socket, CLOUDHSM_PIN: this.engine.pin };
    const words = [modulePath, scene];
    const outcome: Outcome = await runProgram(nativeProgram('behaviour_client'), words, env, onLine);
    expect(outcome.errors, outcome.lines.join('\n')).to.deep.equal([]);
    expect(outcome.code, outcome.lines.join('\n')).to.equal(0);
    return outcome.lines;
  }
}

/** Gives the tests of a suite a client with an engine of their own. */
export function useClient(assign: (client: BehaviourClient) => void): void {
  let client: BehaviourClient | undefined;
  before(async () => {
    client = await BehaviourClient.start();
    assign(client);
  });
  after(() => client?.stop());
}
