import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readGivenFile, writeGivenFile } from '../../src/tools/sdk3/files.js';

describe('files that somebody names at a tool', () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-files-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it('are written for their owner only, whole, and leave nothing beside them', () => {
    writeFileSync(at('key'), 'what was there', { mode: 0o644 });
    writeGivenFile(at('key'), 'a key');
    expect(readFileSync(at('key'), 'utf8')).to.equal('a key');
    expect(statSync(at('key')).mode & 0o777).to.equal(0o600);
    expect(readdirSync(folder)).to.deep.equal(['key']);
  });

  it('are not written through links, nor over what is no file, nor into folders that are not there', () => {
    writeFileSync(at('elsewhere'), 'untouched');
    symlinkSync(at('elsewhere'), at('link'));
    symlinkSync(at('elsewhere'), at('key.new'));
    mkdirSync(at('folder'));
    for (const name of ['link', 'folder', 'missing/key'])
      expect(() => writeGivenFile(at(name), 'a key'), name).to.throw('cannot be written');
    writeGivenFile(at('key'), 'a key');
    expect(readFileSync(at('elsewhere'), 'utf8')).to.equal('untouched');
    expect(readdirSync(folder).sort()).to.deep.equal(['elsewhere', 'folder', 'key', 'key.new', 'link']);
  });

  it('are read only if they are files, and of a bounded length', () => {
    writeFileSync(at('long'), 'x'.repeat(100));
    expect(readGivenFile(at('long'), 100).length).to.equal(100);
    for (const [name, most] of [
      ['long', 99],
      ['.', 100],
      ['missing', 100],
    ] as const)
      expect(() => readGivenFile(at(name), most), name).to.throw(/cannot be read|there is no file/);
    expect(() => readGivenFile('/dev/zero'), 'a device').to.throw('no regular file');
  });
});
