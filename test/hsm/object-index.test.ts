import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { CKA } from '../../src/pkcs11/attributes.js';
import { attribute } from '../../src/pkcs11/template.js';
import { newHsm } from '../support/backups.js';
import { loggedIn } from '../support/in-process.js';
import { newQuorumKey } from '../support/key-quorums.js';
import { seeded } from '../support/seeded.js';

/** Enough of one label that they are too many for memory, and few of the others. */
const labelOf = (number: number): string => (number < 40 ? 'common' : `label ${number}`);
/** More than it takes to read an index into memory. */
const TURNS = 300;

describe('a search for a label', () => {
  for (const [when, turns] of [
    ['while the index is read into memory', 0],
    ['when it has been', TURNS],
  ] as const)
    it(`finds what has it, whatever came, changed and went, ${when}`, async () => {
      const below = seeded(3);
      const hsm = await newHsm({});
      const user = await loggedIn(hsm, 'crypto_user', 'CU');
      const labels = new Map<number, string>();
      const expectFound = async (label: string): Promise<void> => {
        const found = await user.send('findObjects', { template: [attribute(CKA.CKA_LABEL, label)] });
        const expected = [...labels].filter(([, own]) => own === label).map(([handle]) => handle);
        expect(found, label).to.deep.equal(expected.sort((a, b) => a - b));
      };
      const make = async (): Promise<void> => {
        const label = labelOf(below(100));
        const handle = await newQuorumKey(user, undefined, [attribute(CKA.CKA_LABEL, label)]);
        labels.set(handle, label);
      };
      for (let count = 0; count < 60; count++) await make();
      await expectFound('common');
      for (let turn = 0; turn < turns; turn++) await nextTurn();
      for (let round = 0; round < 150; round++) {
        const handles = [...labels.keys()];
        const handle = handles[below(handles.length)]!;
        const action = below(4);
        if (action === 0) await make();
        else if (action === 1 && handles.length > 30) {
          await user.send('destroyObject', { handle });
          labels.delete(handle);
        } else {
          const label = labelOf(below(100));
          await user.send('setAttributes', { handle, template: [attribute(CKA.CKA_LABEL, label)] });
          labels.set(handle, label);
        }
        await expectFound(labelOf(below(100)));
      }
      for (let number = 39; number < 100; number++) await expectFound(labelOf(number));
    });
});
