import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { certificateRows, certificateSwitch } from '../../src/objects/certificates.js';
import { type AttributeName, CKA } from '../../src/pkcs11/attributes.js';
import { CKC, CKO } from '../../src/pkcs11/constants.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { type ClusterOptions, memoryCluster, PASSWORD } from '../support/in-process.js';

// Not DER on purpose: the HSM keeps what it is given.
const value = Buffer.from('the certificate');
const subject = Buffer.from('3000', 'hex');
const INVALID = 'CKR_ATTRIBUTE_VALUE_INVALID';

function certificate(more: Template = [], without: readonly number[] = []): Template {
  const template = [
    attribute(CKA.CKA_CLASS, CKO.CKO_CERTIFICATE),
    attribute(CKA.CKA_TOKEN, true),
    attribute(CKA.CKA_CERTIFICATE_TYPE, CKC.CKC_X_509),
    attribute(CKA.CKA_SUBJECT, subject),
    attribute(CKA.CKA_VALUE, value),
  ];
  const replaced = new Set([...without, ...more.map(({ type }) => type)]);
  return [...template.filter(({ type }) => !replaced.has(type)), ...more];
}

describe('certificates in the HSM (reference section 15)', () => {
  let cluster: Cluster;
  let owner: ClusterClient;
  let other: ClusterClient;

  const open = async (options: ClusterOptions = {}) => {
    cluster = await memoryCluster(options);
    [owner, other] = [cluster.connect(), cluster.connect()];
    await owner.login('crypto_user', PASSWORD);
    await other.login('other_user', PASSWORD);
  };
  const find = (on: ClusterClient, template: Template): unknown => on.findObjects(template);

  it('are kept by hsm2m.medium only, when told so', () => {
    expect(certificateSwitch('hsm2m.medium', true)).to.equal('on');
    expect(certificateSwitch('hsm2m.medium', false)).to.equal('off');
    expect(certificateSwitch('hsm1.medium', true)).to.equal('off');
    expect(certificateSwitch('hsm1.medium', undefined)).to.equal('off');
    // The profile decides: test/cryptoki/deviations.test.ts.
    expect(certificateSwitch('hsm2m.medium', undefined)).to.equal('unstated');
  });

  it('are refused, and none is found, where they are not kept', async () => {
    await open({ profile: 'strict' });
    expect(await codeOf(() => owner.createObject(certificate()))).to.equal('CKR_TEMPLATE_INCONSISTENT');
    expect(await find(owner, [attribute(CKA.CKA_CLASS, CKO.CKO_CERTIFICATE)])).to.deep.equal([]);
    // XiPKI takes the failure of this search for a token without certificates, "like AWS CloudHSM" (commit c356efe4) [seen], the code [guess].
    const byType = [attribute(CKA.CKA_CERTIFICATE_TYPE, CKC.CKC_X_509)];
    const search = () => owner.findObjects(byType, 'C_FindObjectsInit');
    expect(await codeOf(search)).to.equal('CKR_ATTRIBUTE_TYPE_INVALID');
  });

  for (const profile of ['strict', 'compatible'] as const) {
    describe(`in the ${profile} profile`, () => {
      before(() => open({ profile, certificateStorage: true }));

      const create = (more?: Template, without?: readonly number[]) => () =>
        owner.createObject(certificate(more, without));

      it('are found by label and by subject, and by no template of keys, by every crypto user', async () => {
        const handle = await create([attribute(CKA.CKA_LABEL, 'label')])();
        for (const on of [owner, other]) {
          expect(await find(on, [attribute(CKA.CKA_LABEL, 'label')])).to.deep.equal([handle]);
          expect(await find(on, [attribute(CKA.CKA_SUBJECT, subject)])).to.include(handle);
          expect(await find(on, [])).to.include(handle);
          const byType = [attribute(CKA.CKA_CERTIFICATE_TYPE, CKC.CKC_X_509)];
          expect(await on.findObjects(byType, 'C_FindObjectsInit')).to.include(handle);
          expect(await find(on, [attribute(CKA.CKA_CLASS, CKO.CKO_PUBLIC_KEY)])).to.deep.equal([]);
        }
        for (const { objects } of cluster.hsms) expect(objects.get(handle)?.kind).to.equal('certificate');
      });

      it('have the documented defaults, and a check value from their value', async () => {
        const handle = await create()();
        const expected: [AttributeName, Buffer][] = [
          ['CKA_PRIVATE', Buffer.from([0])],
          ['CKA_MODIFIABLE', Buffer.from([1])],
          ['CKA_COPYABLE', Buffer.from([0])],
          ['CKA_DESTROYABLE', Buffer.from([1])],
          ['CKA_TRUSTED', Buffer.from([0])],
          ['CKA_CERTIFICATE_CATEGORY', Buffer.alloc(8)],
          ['CKA_ISSUER', Buffer.alloc(0)],
          ['CKA_SERIAL_NUMBER', Buffer.alloc(0)],
          ['CKA_START_DATE', Buffer.alloc(0)],
          ['CKA_END_DATE', Buffer.alloc(0)],
          ['CKA_CHECK_VALUE', createHash('sha1').update(value).digest().subarray(0, 3)],
        ];
        const types = expected.map(([name]) => CKA[name]);
        const values = await other.send('getAttributes', { handle, types });
        for (const [at, [name, wanted]] of expected.entries()) expect(values[at], name).to.deep.equal(wanted);
      });

      for (const [name, row] of Object.entries(certificateRows)) {
        if (row.rule !== '!') continue;
        it(`are refused without ${name}`, async () => {
          const type = CKA[name as AttributeName];
          expect(await codeOf(create([], [type]))).to.equal('CKR_TEMPLATE_INCOMPLETE');
        });
      }

      for (const [what, code, entry] of [
        ['as session objects', INVALID, attribute(CKA.CKA_TOKEN, false)],
        ['as trusted', INVALID, attribute(CKA.CKA_TRUSTED, true)],
        ['with a check value', 'CKR_ATTRIBUTE_READ_ONLY', attribute(CKA.CKA_CHECK_VALUE, Buffer.alloc(3))],
        ['with an attribute of keys', 'CKR_TEMPLATE_INCONSISTENT', attribute(CKA.CKA_SIGN, true)],
        ['without a subject in it', INVALID, attribute(CKA.CKA_SUBJECT, '')],
        ['with nothing in them', INVALID, attribute(CKA.CKA_VALUE, '')],
        ['of another type', 'CKR_TEMPLATE_INCONSISTENT', attribute(CKA.CKA_CERTIFICATE_TYPE, 1)],
        ['of a category that is none', INVALID, attribute(CKA.CKA_CERTIFICATE_CATEGORY, 4)],
        ['of more than 32 KiB', INVALID, attribute(CKA.CKA_VALUE, Buffer.alloc(32 * 1024 + 1, 1))],
        ['with a label of 128 characters', INVALID, attribute(CKA.CKA_LABEL, 'ä'.repeat(128))],
        ['with an id of 129 bytes', INVALID, attribute(CKA.CKA_ID, Buffer.alloc(129))],
        [
          'with too long a public key',
          INVALID,
          attribute(CKA.CKA_PUBLIC_KEY_INFO, Buffer.alloc(16 * 1024 + 1)),
        ],
      ] as const) {
        it(`are refused ${what}`, async () => {
          expect(await codeOf(create([entry]))).to.equal(code);
        });
      }

      it('are taken up to the limits, and with an id that is in use', async () => {
        const most = [
          attribute(CKA.CKA_VALUE, Buffer.alloc(32 * 1024, 1)),
          attribute(CKA.CKA_LABEL, 'ä'.repeat(127)),
          attribute(CKA.CKA_ID, Buffer.alloc(128, 1)),
          attribute(CKA.CKA_PUBLIC_KEY_INFO, Buffer.alloc(16 * 1024, 1)),
        ];
        expect(await codeOf(create(most))).to.equal('CKR_OK');
        expect(await codeOf(create(most))).to.equal('CKR_OK');
      });

      it('get another label and id from their owner; nothing else changes, and nobody else changes them', async () => {
        const handle = await create([attribute(CKA.CKA_LABEL, 'old')])();
        const set = (on: ClusterClient, entry: Template[number]) =>
          codeOf(() => on.setAttributes(handle, [entry]));
        expect(await set(other, attribute(CKA.CKA_LABEL, 'new'))).to.equal('CKR_ACTION_PROHIBITED');
        expect(await set(owner, attribute(CKA.CKA_LABEL, 'new'))).to.equal('CKR_OK');
        expect(await set(owner, attribute(CKA.CKA_ID, Buffer.from([1])))).to.equal('CKR_OK');
        expect(await find(other, [attribute(CKA.CKA_LABEL, 'new')])).to.deep.equal([handle]);
        expect(await set(owner, attribute(CKA.CKA_LABEL, 'x'.repeat(128)))).to.equal(INVALID);
        for (const entry of [
          attribute(CKA.CKA_VALUE, 'other'),
          attribute(CKA.CKA_SUBJECT, 'other'),
          attribute(CKA.CKA_CLASS, CKO.CKO_DATA),
          attribute(CKA.CKA_TOKEN, false),
          attribute(CKA.CKA_TRUSTED, true),
        ]) {
          expect(await set(owner, entry)).to.equal('CKR_ATTRIBUTE_READ_ONLY');
        }
      });

      it('stay as they are when they say so', async () => {
        const handle = await create([
          attribute(CKA.CKA_MODIFIABLE, false),
          attribute(CKA.CKA_DESTROYABLE, false),
        ])();
        const label = [attribute(CKA.CKA_LABEL, 'new')];
        expect(await codeOf(() => owner.setAttributes(handle, label))).to.equal('CKR_ACTION_PROHIBITED');
        expect(await codeOf(() => owner.destroyObject(handle))).to.equal('CKR_ACTION_PROHIBITED');
      });

      it('are destroyed by their owner only', async () => {
        const handle = await create()();
        expect(await codeOf(() => other.destroyObject(handle))).to.equal('CKR_ACTION_PROHIBITED');
        await owner.destroyObject(handle);
        expect(await find(owner, [])).not.to.include(handle);
      });

      it('are no keys: not shared, and not set by tools', async () => {
        const handle = await create()();
        for (const attempt of [
          () => owner.shareKey(handle, 'other_user'),
          () => owner.setKeyAttribute(handle, attribute(CKA.CKA_LABEL, 'x')),
        ]) {
          expect(await codeOf(attempt)).to.equal('CKR_ACTION_PROHIBITED');
        }
      });

      it('are 60 at most, and do not count as keys', async () => {
        await open({ profile, certificateStorage: true });
        for (let count = 0; count < 60; count++) await create()();
        expect(await codeOf(create())).to.equal('CKR_FUNCTION_FAILED');
        expect(cluster.hsms[0]!.counts.keys).to.equal(0);
      });
    });
  }
});
