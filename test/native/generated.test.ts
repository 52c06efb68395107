import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { generatedFiles, generatedFolder } from '../../src/wire/generate/files.js';
import { projectRoot } from './build-native.js';

describe('generated C files', () => {
  for (const [name, text] of Object.entries(generatedFiles())) {
    it(`${name} is what the tables say`, () => {
      const stored = readFileSync(`${projectRoot}${generatedFolder}/${name}`, 'utf8');
      expect(stored === text, `${generatedFolder}/${name} is stale: npm run generate`).to.equal(true);
    });
  }

  it('names no constant twice: what CloudHSM has stands in src/pkcs11 only', () => {
    const text = Object.values(generatedFiles()).join('');
    const names = [...text.matchAll(/^#define (CK[A-Z]?_\w+) 0x/gm)].map(([, name]) => name);
    const twice = names.filter((name, at) => names.indexOf(name) !== at);
    expect(twice, 'take them out of src/wire/generate/standard-names.ts').to.deep.equal([]);
  });
});
