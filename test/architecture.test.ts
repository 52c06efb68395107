import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { expect } from 'chai';
import ts from 'typescript';
import { projectRoot } from './support/engine.js';

const page = readFileSync(join(projectRoot, 'docs', 'ARCHITECTURE.md'), 'utf8');

/** The rooms, from the ground up, as docs/ARCHITECTURE.md has them: a room may import those before it and nothing behind it. */
const rooms = [...page.matchAll(/^\| `src\/([\w-]+)` /gm)].map(([, room]) => room!);

const MOST_LINES = 400;

function filesBelow(folder: string, ending: RegExp): string[] {
  return readdirSync(folder).flatMap((entry) => {
    const path = join(folder, entry);
    if (statSync(path).isDirectory()) return entry === 'generated' ? [] : filesBelow(path, ending);
    return ending.test(entry) ? [path] : [];
  });
}

const source = join(projectRoot, 'src');
const files = filesBelow(source, /\.ts$/);
const roomOf = (path: string): string => relative(source, path).split(sep)[0]!;
const nameOf = (path: string): string => relative(projectRoot, path);

function importsOf(path: string): string[] {
  return ts.preProcessFile(readFileSync(path, 'utf8')).importedFiles.map((file) => file.fileName);
}

describe('the house', () => {
  it('has no room that is not in the list', () => {
    expect([...new Set(files.map(roomOf))].filter((room) => !rooms.includes(room))).to.deep.equal([]);
  });

  it('has every file and folder that its description names', () => {
    const named = [...page.matchAll(/`((?:src|native|test|scripts|docs)\/[\w./-]+)`/g)].map(
      ([, path]) => path!,
    );
    expect(named).to.have.length.greaterThan(50);
    const gone = named.filter((path) => !existsSync(join(projectRoot, path)));
    expect(gone).to.deep.equal([]);
  });

  it('lets imports point only to rooms below', () => {
    const wrong = files.flatMap((path) =>
      importsOf(path)
        .filter((name) => name.startsWith('.'))
        .map((name) => roomOf(join(path, '..', name)))
        .filter((room) => rooms.indexOf(room) > rooms.indexOf(roomOf(path)))
        .map((room) => `${nameOf(path)} imports from ${room}, which stands above ${roomOf(path)}`),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('keeps node:crypto inside crypto', () => {
    const wrong = files.filter(
      (path) => roomOf(path) !== 'crypto' && importsOf(path).includes('node:crypto'),
    );
    expect(wrong.map(nameOf), 'use src/crypto instead').to.deep.equal([]);
  });

  it('has no import cycles between files', () => {
    const cycles: string[] = [];
    const state = new Map<string, 'open' | 'done'>();
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === 'open')
        cycles.push([...trail.slice(trail.indexOf(path)), path].map(nameOf).join(' → '));
      if (state.has(path)) return;
      state.set(path, 'open');
      for (const name of valueImportsOf(path))
        visit(join(path, '..', name).replace(/\.js$/, '.ts'), [...trail, path]);
      state.set(path, 'done');
    };
    for (const path of files) visit(path, []);
    expect(cycles).to.deep.equal([]);
  });

  it(`has no file of more than ${MOST_LINES} lines`, () => {
    const all = [
      ...files,
      ...filesBelow(join(projectRoot, 'test'), /\.ts$/),
      ...filesBelow(join(projectRoot, 'native'), /\.(c|h|cc)$/),
    ];
    const long = all
      .map((path) => ({ path, lines: readFileSync(path, 'utf8').split('\n').length }))
      .filter(({ lines }) => lines > MOST_LINES);
    expect(long.map(({ path, lines }) => `${nameOf(path)}: ${lines} lines: a room is missing`)).to.deep.equal(
      [],
    );
  });
});

/** Imports that are there at run time: a cycle of types alone is no cycle. */
function valueImportsOf(path: string): string[] {
  const parsed = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022);
  return parsed.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    const typesOnly = ts.isImportDeclaration(statement)
      ? statement.importClause?.isTypeOnly
      : statement.isTypeOnly;
    const name = statement.moduleSpecifier;
    return name && ts.isStringLiteral(name) && name.text.startsWith('.') && !typesOnly ? [name.text] : [];
  });
}
