import { expect } from 'chai';
import { clusterKinds } from '../../src/base/cluster-kind.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { isSelected, type MechanismRow } from '../../src/mechanisms/mechanism.js';
import { mechanismRows } from '../../src/mechanisms/rows.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import type { MechanismParameter } from '../../src/pkcs11/layouts.js';
import { mechanismName } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { type SampleKey, sampleParameter, useSampleKeys } from '../support/mechanism-samples.js';

/* As refusals.test.ts, for wrapping and unwrapping: made from the rows, and sent to the HSM past cryptoki. */

const operations = {
  wrap: { half: 'publicKey', other: 'privateKey', wrongType: 'CKR_WRAPPING_KEY_TYPE_INCONSISTENT' },
  unwrap: { half: 'privateKey', other: 'publicKey', wrongType: 'CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT' },
} as const;
const template = [attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY), attribute(CKA.CKA_KEY_TYPE, CKK.CKK_AES)];

for (const kind of clusterKinds) {
  describe(`an HSM of a ${kind.mode} cluster of ${kind.hsmType}, wrapping`, () => {
    let client: ClusterClient;
    let usable: readonly SampleKey[];
    let useless: readonly SampleKey[];
    useSampleKeys(kind, (samples) => {
      ({ client, usable, useless } = samples);
    });

    const attempt = (
      { type }: MechanismRow,
      operation: keyof typeof operations,
      key: number,
      parameter: MechanismParameter,
    ): Promise<string> =>
      codeOf(() => {
        const mechanism = { type, parameter };
        if (operation === 'unwrap')
          return client.unwrapKey(
            {
              unwrappingKey: key,
              mechanism,
              wrapped: Buffer.alloc(0),
              template,
            },
            () => undefined,
          );
        const handle = usable[0]!.privateKey;
        return client.wrapKey({ wrappingKey: key, handle, mechanism, roomBytes: 0 });
      });

    for (const row of mechanismRows) {
      for (const operation of ['wrap', 'unwrap'] as const) {
        const { half, other, wrongType } = operations[operation];
        const name = `${mechanismName(row.type)} to ${operation}`;
        const fits = ({ keyType }: SampleKey): boolean => row.wrap?.keyTypes.includes(keyType) === true;

        if (row.wrap === undefined || !isSelected(row.only?.[operation] ?? {}, kind)) {
          it(`has no ${name}`, async () => {
            for (const key of usable)
              expect(await attempt(row, operation, key[half], undefined)).to.equal('CKR_MECHANISM_INVALID');
          });
          continue;
        }

        it(`takes ${name} no key of another type, nor the other half, nor one that may not`, async () => {
          const parameter = sampleParameter(row);
          for (const key of usable.filter((one) => !fits(one)))
            expect(await attempt(row, operation, key[half], parameter)).to.equal(wrongType);
          const right = usable.find(fits)!;
          if (right.publicKey !== right.privateKey)
            expect(await attempt(row, operation, right[other], parameter)).to.equal(wrongType);
          expect(await attempt(row, operation, useless.find(fits)![half], parameter)).to.equal(
            'CKR_KEY_FUNCTION_NOT_PERMITTED',
          );
        });

        it(`takes ${name} no other parameter`, async () => {
          for (const parameter of [{ layout: 'unusable', lengthBytes: 3 } as const, Buffer.alloc(16)])
            expect(await attempt(row, operation, usable.find(fits)![half], parameter)).to.equal(
              'CKR_MECHANISM_PARAM_INVALID',
            );
        });
      }
    }
  });
}
