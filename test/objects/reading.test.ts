import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { ObjectKind } from '../../src/objects/kinds.js';
import { columns, type Origin, readRule } from '../../src/objects/rules.js';
import { type AttributeName, attributeKind, CKA } from '../../src/pkcs11/attributes.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
import { makerOf, NO_HANDLE, templateFor } from './cells.js';

/** How an object of each kind is made for the read column. */
const origins: { readonly [Kind in ObjectKind]?: Origin } = {
  ecPrivate: 'create',
  ecPublic: 'create',
  rsaPrivate: 'create',
  rsaPublic: 'create',
  aes: 'generate',
  des3: 'generate',
  generic: 'generate',
  mldsaPrivate: 'generatePair',
  mldsaPublic: 'generatePair',
};

/** Readable, and yet without a value in an object that nobody gave one: these are the templates of wrapping keys. */
const mayBeUnset = (type: number): boolean => attributeKind(type) === 'template';

for (const profile of ['strict', 'compatible'] as const) {
  describe(`what can be read and searched for, in the ${profile} profile`, () => {
    let client: ClusterClient;

    before(async () => {
      const cluster = await memoryCluster({ profile, mode: 'NON_FIPS' });
      client = cluster.connect();
      await client.login('crypto_user', PASSWORD);
    });

    const find = (template: Template): unknown => client.findObjects(template);

    for (const kind of columns.read) {
      const origin = origins[kind]!;
      const make = makerOf(origin, kind, profile);

      it(`of ${kind}: every attribute as its cell says, in one request`, async function () {
        const handle = await make(client, kind, templateFor(origin, kind));
        if (handle === NO_HANDLE) this.skip();
        const names = Object.keys(CKA) as AttributeName[];
        const types = names.map((name) => CKA[name]);
        const values = await client.send('getAttributes', { handle, types });
        for (const [at, name] of names.entries()) {
          const value = values[at]!;
          const rule = readRule(kind, CKA[name]);
          if (rule === 'S') expect(value, name).to.equal('sensitive');
          else if (rule === '.') expect(value, name).to.equal('unavailable');
          else if (!mayBeUnset(CKA[name])) expect(value, name).to.be.instanceOf(Buffer);
          if (typeof value === 'string' || mayBeUnset(CKA[name])) continue;
          // What can be read can be searched for.
          const type = CKA[name];
          expect(await find([{ type, value }]), name).to.include(handle);
        }
      });
    }

    it('a flag that CloudHSM takes and does not show is neither read nor found on CloudHSM', async () => {
      // "Accepted but no mechanism uses them; not readable afterwards" (reference section 11.2).
      const flag = attribute(CKA.CKA_ENCRYPT, true);
      const label = attribute(CKA.CKA_LABEL, 'unseen');
      const make = makerOf('generatePair', 'ecPublic', profile);
      const handle = await make(client, 'ecPublic', templateFor('generatePair', 'ecPublic', [flag, label]));
      const [value] = await client.send('getAttributes', { handle, types: [CKA.CKA_ENCRYPT] });
      expect(value).to.deep.equal(profile === 'strict' ? 'unavailable' : Buffer.from([1]));
      expect(await find([label, flag])).to.deep.equal(profile === 'strict' ? [] : [handle]);
    });

    it('a search finds what it says exactly, and nothing by what it cannot know', async () => {
      const label = attribute(CKA.CKA_LABEL, 'exact');
      const make = makerOf('create', 'aes', profile);
      const handle = await make(client, 'aes', templateFor('create', 'aes', [label]));
      expect(await find([label])).to.deep.equal([handle]);
      const others: Template = [
        attribute(CKA.CKA_LABEL, 'exac'),
        attribute(CKA.CKA_LABEL, 'exact '),
        attribute(CKA.CKA_LABEL, ''),
        attribute(CKA.CKA_VALUE, Buffer.alloc(32, 1)),
        attribute(CKA.CKA_MODULUS, ''),
        { type: CKA.CKA_TOKEN, value: Buffer.alloc(8) },
        { type: CKA.CKA_CLASS, value: Buffer.from([4, 0, 0, 0]) },
        { type: 0x7fff_0001, value: Buffer.alloc(0) },
        { type: CKA.CKA_WRAP_TEMPLATE, value: Buffer.alloc(0), nested: [] },
      ];
      for (const other of others) expect(await find([label, other])).to.deep.equal([]);
      expect(await find([label, attribute(CKA.CKA_TRUSTED, false)])).to.deep.equal([handle]);
    });
  });
}
