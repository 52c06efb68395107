import type { HsmConnection } from '../../hsm/hsm.js';
import { HsmUnavailable } from '../../hsm/unavailable.js';
import type { Terminal } from '../terminal.js';

/**
 * The tools of Client SDK 3 are for hsm1.medium; "hsm2m.medium needs SDK >= 5.9" (reference management-tools, section 0). They work here
 * all the same, and say that a script which needs them will not on AWS.
 */
export async function warnOfHsmType(
  terminal: Terminal,
  connection: HsmConnection | undefined,
): Promise<void> {
  if (connection === undefined) return;
  try {
    const { hsmType } = await connection.send('getHsmInfo', undefined);
    if (hsmType !== 'hsm1.medium')
      terminal.complain(
        `warning: on AWS, tools of Client SDK 3 do not work with HSMs of ${hsmType}: use cloudhsm-cli of Client SDK 5`,
      );
  } catch (error) {
    // Whatever else is to be done with it says so.
    if (!(error instanceof HsmUnavailable)) throw error;
  }
}
