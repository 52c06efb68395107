import { commandFailure } from '../../base/errors.js';
import { faults } from '../../hsm/faults.js';
import { askEngine } from '../control.js';
import type { Home } from '../home.js';
import { askAboutHsm } from '../listeners.js';

async function ask(home: Home, method: 'POST' | 'DELETE', hsmId: string, path: string): Promise<void> {
  const { error } = await askAboutHsm(home, hsmId, (listener) =>
    askEngine<{ error?: string }>(listener, method, `/hsms/${hsmId}/fault${path}`),
  );
  if (error !== undefined) throw commandFailure('BAD_CONFIGURATION', error);
}

export async function faultCommand(home: Home, hsmId: string, kind: keyof typeof faults): Promise<void> {
  await ask(home, 'POST', hsmId, `/${kind}`);
  // The API's are replaced at once (docs/CONTROL-PLANE.md, "HSMs that fail").
  const unless = kind === 'tamper' ? ', unless a new HSM takes its place: see `cloudhsm-local status`' : '';
  console.log(`${hsmId} ${faults[kind]}. \`cloudhsm-local heal ${hsmId}\` ends it${unless}.`);
}

export async function healCommand(home: Home, hsmId: string): Promise<void> {
  await ask(home, 'DELETE', hsmId, '');
  console.log(`${hsmId} is healed, and has what the other HSMs have.`);
}
