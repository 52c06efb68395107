import { expect } from 'chai';
import { clusterKinds } from '../../src/base/cluster-kind.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import {
  type CipherMechanism,
  isSelected,
  type KeyDerivation,
  type MechanismOperation,
  type MechanismRow,
  mechanismOperations,
  type SignatureMechanism,
} from '../../src/mechanisms/mechanism.js';
import { mechanismRows } from '../../src/mechanisms/rows.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import type { MechanismParameter } from '../../src/pkcs11/layouts.js';
import { mechanismName } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import {
  type SampleKey,
  sampleParameter,
  useSampleKeys,
  wrongParameters,
} from '../support/mechanism-samples.js';

/* Made from the rows, and sent to the HSM past cryptoki: the HSM itself refuses. */

const keyOperations = ['encrypt', 'decrypt', 'sign', 'verify', 'derive'] as const;
type KeyOperation = (typeof keyOperations)[number];

const derivedTemplate = [
  attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
  attribute(CKA.CKA_KEY_TYPE, CKK.CKK_AES),
  attribute(CKA.CKA_VALUE_LEN, 32),
];

const needsPublic: readonly MechanismOperation[] = ['encrypt', 'verify'];
const partOf = (
  row: MechanismRow,
  operation: KeyOperation,
): CipherMechanism | SignatureMechanism | KeyDerivation | undefined =>
  row[mechanismOperations[operation].part];
const handleOf = (key: SampleKey, operation: KeyOperation): number =>
  needsPublic.includes(operation) ? key.publicKey : key.privateKey;

for (const kind of clusterKinds) {
  describe(`an HSM of a ${kind.mode} cluster of ${kind.hsmType}`, () => {
    let client: ClusterClient;
    let usable: readonly SampleKey[];
    let useless: readonly SampleKey[];
    useSampleKeys(kind, (samples) => {
      ({ client, usable, useless } = samples);
    });

    const attempt = (
      row: MechanismRow,
      operation: KeyOperation,
      handle: number,
      { parameter, input = Buffer.alloc(16) }: { parameter: MechanismParameter; input?: Buffer } = {
        parameter: sampleParameter(row),
      },
    ): Promise<string> =>
      codeOf(() => {
        const mechanism = { type: row.type, parameter };
        if (operation === 'derive') return client.deriveKey(handle, mechanism, derivedTemplate);
        return client.send(operation as 'verify', { handle, mechanism, input, signature: Buffer.alloc(16) });
      });

    for (const row of mechanismRows) {
      for (const operation of keyOperations) {
        const part = partOf(row, operation);
        const name = `${mechanismName(row.type)} to ${operation}`;
        const keyFor = (keys: readonly SampleKey[]): SampleKey =>
          keys.find(({ keyType }) => part?.keyTypes.includes(keyType)) ?? keys[0]!;

        if (part === undefined) {
          it(`has no ${name}`, async () => {
            for (const key of usable)
              expect(await attempt(row, operation, handleOf(key, operation))).to.equal(
                'CKR_MECHANISM_INVALID',
              );
          });
          continue;
        }

        if (!isSelected(row.only?.[operation] ?? {}, kind)) {
          it(`refuses ${name} in such a cluster`, async () => {
            expect(await attempt(row, operation, handleOf(keyFor(usable), operation))).to.equal(
              'CKR_MECHANISM_INVALID',
            );
          });
          continue;
        }

        it(`takes ${name} no key of another type, nor the other half`, async () => {
          for (const key of usable.filter(({ keyType }) => !part.keyTypes.includes(keyType)))
            expect(await attempt(row, operation, handleOf(key, operation))).to.equal(
              'CKR_KEY_TYPE_INCONSISTENT',
            );
          const { publicKey, privateKey } = keyFor(usable);
          if (publicKey === privateKey) return;
          const otherHalf = needsPublic.includes(operation) ? privateKey : publicKey;
          expect(await attempt(row, operation, otherHalf)).to.equal('CKR_KEY_TYPE_INCONSISTENT');
        });

        it(`takes ${name} no key that may not`, async () => {
          expect(await attempt(row, operation, handleOf(keyFor(useless), operation))).to.equal(
            'CKR_KEY_FUNCTION_NOT_PERMITTED',
          );
        });

        it(`takes ${name} no other parameter`, async () => {
          for (const parameter of wrongParameters(row))
            expect(
              await attempt(row, operation, handleOf(keyFor(usable), operation), { parameter }),
            ).to.equal('CKR_MECHANISM_PARAM_INVALID');
        });

        if (!('maxDataBytes' in part) || part.maxDataBytes === undefined) continue;
        const { maxDataBytes } = part;
        it(`takes ${name} ${maxDataBytes} bytes and no more`, async () => {
          const handle = handleOf(keyFor(usable), operation);
          const withData = (input: Buffer) =>
            attempt(row, operation, handle, { parameter: sampleParameter(row), input });
          if (operation === 'sign' || operation === 'verify') {
            expect(await withData(Buffer.alloc(maxDataBytes))).to.equal('CKR_OK');
            expect(await withData(Buffer.alloc(maxDataBytes + 1))).to.equal('CKR_DATA_LEN_RANGE');
            return;
          }
          const parameter = sampleParameter(row);
          const mechanism = { type: row.type, parameter };
          const wholeBlocks = Buffer.alloc(maxDataBytes);
          if (operation === 'encrypt') {
            expect(await withData(wholeBlocks)).to.equal('CKR_OK');
            expect(await withData(Buffer.alloc(maxDataBytes + 16))).to.equal('CKR_DATA_LEN_RANGE');
            return;
          }
          const tooLong = 'CKR_ENCRYPTED_DATA_LEN_RANGE';
          expect(await withData(Buffer.alloc(maxDataBytes + 64))).to.equal(tooLong);
          if (!isSelected(row.only?.encrypt ?? {}, kind)) return;
          const input = await client.send('encrypt', { handle, mechanism, input: wholeBlocks });
          expect(await withData(input)).to.equal('CKR_OK');
        });
      }
    }
  });
}
