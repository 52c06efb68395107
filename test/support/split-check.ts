/* Whether HSMs have the same, and each every key that was acknowledged. Run as a process, it reads what to look at as JSON from its
 * stdin: where the HSMs are, there may be no way from here. */
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { codeOf } from './codes.js';
import { until } from './network.js';
import type { Acknowledged } from './split-load.js';

export interface ToCheck {
  readonly hsms: readonly { readonly eniIp: string; readonly port: number; readonly identity: TlsIdentity }[];
  readonly client: TlsIdentity;
  readonly account: { readonly name: string; readonly password: string };
  readonly keys: readonly Acknowledged[];
  /** Handles. */
  readonly destroyed: readonly number[];
}

const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };

async function wrongOn(hsm: HsmConnection, { account, keys, destroyed }: ToCheck): Promise<string[]> {
  const wrong: string[] = [];
  await hsm.send('synchronize', undefined);
  await hsm.send('login', { ...account, role: 'CU' });
  for (const { handle, label, expected } of keys) {
    const output = await hsm.send('encrypt', { handle, mechanism, input: Buffer.alloc(16) });
    const [found] = await hsm.send('getAttributes', { handle, types: [CKA.CKA_LABEL] });
    if (output.toString('hex') !== expected || String(found) !== label)
      wrong.push(`${label} on ${hsm.hsmId}: ${output.toString('hex')} and ${found}`);
  }
  for (const handle of destroyed) {
    const answer = await codeOf(() => hsm.send('locateObject', { handle }));
    if (answer !== 'CKR_OBJECT_HANDLE_INVALID') wrong.push(`${handle} on ${hsm.hsmId}, destroyed: ${answer}`);
  }
  return wrong;
}

/** What is wrong. Resolves when everything, handles, attributes, owners and shares, is the same on all HSMs. */
export async function wrongKeys(check: ToCheck): Promise<string[]> {
  const onEach = <T>(
    identity: (hsm: ToCheck['hsms'][number]) => TlsIdentity,
    ask: (connection: HsmConnection) => Promise<T>,
  ): Promise<T[]> =>
    Promise.all(
      check.hsms.map(async (hsm) => {
        const endpoint = { host: hsm.eniIp, port: hsm.port };
        const connection = await connectToHsm({ endpoint, identity: identity(hsm) });
        const answer = await ask(connection);
        connection.close();
        return answer;
      }),
    );
  const wrong = await onEach(
    () => check.client,
    (hsm) => wrongOn(hsm, check),
  );
  await until(async () => {
    const digests = await onEach(
      ({ identity }) => identity,
      async (peer) => (await peer.send('objectDigests', undefined)).toString('hex'),
    );
    return new Set(digests).size === 1;
  });
  return wrong.flat();
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(JSON.stringify(await wrongKeys(JSON.parse(await text(process.stdin)))));
