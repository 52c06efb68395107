import { expect } from 'chai';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster } from '../support/in-process.js';

describe('an HSM that does so many commands in a second', () => {
  let nowMs: number;
  let client: HsmConnection;

  beforeEach(async () => {
    nowMs = 1_000_000;
    const clock = { nowMs: () => nowMs };
    const cluster = await memoryCluster({ hsms: 1, commandsPerSecond: 4, clock });
    client = await loggedIn(cluster.hsms[0]!, 'crypto_user', 'CU');
  });

  const done = async (attempts: number): Promise<number> => {
    let succeeded = 0;
    for (let attempt = 0; attempt < attempts; attempt++)
      if ((await codeOf(() => client.send('generateRandom', { lengthBytes: 1 }))) === 'CKR_OK') succeeded++;
    return succeeded;
  };

  it('does as many at once, and answers the others that it is busy', async () => {
    expect(await done(10)).to.equal(4);
    expect(await codeOf(() => client.send('generateRandom', { lengthBytes: 1 }))).to.equal(
      'CKR_FUNCTION_FAILED',
    );
  });

  it('goes on as time passes, and saves no more than one second of it', async () => {
    await done(4);
    nowMs += 500;
    expect(await done(10)).to.equal(2);
    nowMs += 60_000;
    expect(await done(10)).to.equal(4);
    nowMs -= 60_000;
    expect(await done(10)).to.equal(0);
  });

  it('lets everybody in and out all the same', async () => {
    await done(4);
    expect(await codeOf(() => client.send('logout', undefined))).to.equal('CKR_OK');
  });
});
