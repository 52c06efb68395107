import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { limits } from '../../src/base/limits.js';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { modulePath } from '../support/engine.js';
import { expectCkr } from '../support/module.js';
import { SplitCluster } from '../support/split.js';

/** "900 client connections, 1,024 PKCS#11 sessions per application" (reference management-tools, section 1.3). */
const CONNECTIONS = 900;
const SESSIONS = 1024;
const AT_A_TIME = 50;

describe('as many clients and sessions as CloudHSM has', function () {
  this.timeout(180_000);
  let split: SplitCluster;

  before(async () => {
    split = await SplitCluster.start(1);
    await split.startClient();
  });

  after(() => split.stop());

  it(`are ${SESSIONS} sessions of one application: CKR_SESSION_COUNT for the next, until one is closed`, () => {
    split.useInThisProcess();
    const p11 = new pkcs11js.PKCS11();
    p11.load(modulePath);
    p11.C_Initialize();
    const slot = p11.C_GetSlotList(true)[0]!;
    const open = (): Buffer => p11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
    const sessions = Array.from({ length: SESSIONS }, open);
    p11.C_Login(sessions[0]!, pkcs11js.CKU_USER, split.env['CLOUDHSM_PIN']!);
    for (const session of sessions) expect(p11.C_GenerateRandom(session, Buffer.alloc(8))).to.have.length(8);
    expectCkr(CKR.CKR_SESSION_COUNT, open);
    p11.C_CloseSession(sessions.pop()!);
    open();
    p11.C_Finalize();
    p11.close();
  });

  it(`are ${CONNECTIONS} connections to an HSM, beside those that only watch: the next is told so`, async () => {
    expect(limits.applications).to.equal(CONNECTIONS);
    const { eniIp: host, port } = (await split.ask('/status')).clusters[0].hsms[0];
    const options = { endpoint: { host, port }, identity: split.identity('client') };
    const timeouts = { connectMs: 60_000, silenceMs: 60_000 };
    const connect = (): Promise<HsmConnection> => connectToHsm({ ...options, timeouts });
    const connections: HsmConnection[] = [];
    while (connections.length < CONNECTIONS) {
      connections.push(...(await Promise.all(Array.from({ length: AT_A_TIME }, connect))));
    }
    const refusal = await connect().then(String, String);
    expect(refusal).to.contain('as many clients as it serves');
    const watcher = await connectToHsm({ ...options, timeouts, watches: true });
    expect(await watcher.send('listUsers', undefined)).to.have.length(3);
    expect(
      await Promise.resolve(watcher.send('login', { ...split.account, role: 'CU' })).then(String, String),
    ).to.contain('closed the connection');
    for (const connection of connections)
      expect(await connection.send('listUsers', undefined)).to.have.length(3);
    connections.pop()!.close();
    let last: HsmConnection | undefined;
    while (last === undefined) last = await connect().catch(() => undefined);
    for (const connection of [...connections, last]) connection.close();
  });
});
