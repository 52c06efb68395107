import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { LogInterval } from '../../src/base/client-config.js';
import { LogFiles } from '../../src/base/log-file.js';

describe('the file of a log', () => {
  let folder: string;
  let path: string;
  let now: number;
  const at = (time: string): void => {
    now = Date.parse(time);
  };
  const files = (): LogFiles => new LogFiles(() => now);
  const contents = (): Record<string, string> =>
    Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'log-'));
    path = join(folder, 'a.log');
    at('2026-11-22T10:59:59.999Z');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  for (const [interval, times, expected] of [
    [
      'daily',
      ['2026-11-22T23:59:59.999Z', '2026-11-23T00:00:00Z'],
      { 'a.log.2026-11-22': '01', 'a.log': '2' },
    ],
    [
      'hourly',
      ['2026-11-22T10:59:59.999Z', '2026-11-22T11:00:00Z'],
      { 'a.log.2026-11-22-10': '01', 'a.log': '2' },
    ],
    // 22 November 2026 is a Sunday.
    [
      'weekly',
      ['2026-11-22T23:59:59.999Z', '2026-11-23T00:00:00Z'],
      { 'a.log.2026-11-16': '01', 'a.log': '2' },
    ],
    ['never', ['2026-11-23T10:00:00Z', '2031-01-01T00:00:00Z'], { 'a.log': '012' }],
  ] as const satisfies [LogInterval, string[], object][]) {
    it(`is rotated ${interval}, in UTC`, () => {
      const sink = files().open(path, interval);
      sink.write('0');
      for (const [count, time] of times.entries()) {
        at(time);
        sink.write(String(count + 1));
      }
      expect(contents()).to.deep.equal(expected);
    });
  }

  it("is its owner's alone", () => {
    files().open(path, 'daily').write('line\n');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('is rotated where an earlier engine has left lines of another day, and goes on where it has not', () => {
    writeFileSync(path, 'yesterday ');
    utimesSync(path, now / 1000 - 86_400, now / 1000 - 86_400);
    files().open(path, 'daily').write('today ');
    const earlier = { 'a.log.2026-11-21': 'yesterday ' };
    expect(contents()).to.deep.equal({ ...earlier, 'a.log': 'today ' });
    utimesSync(path, now / 1000, now / 1000);
    files().open(path, 'daily').write('again');
    expect(contents()).to.deep.equal({ ...earlier, 'a.log': 'today again' });
  });

  it('never writes over a file that has the name already', () => {
    const sink = files().open(path, 'daily');
    sink.write('first ');
    writeFileSync(`${path}.2026-11-22`, 'precious');
    at('2026-11-23T00:00:00Z');
    sink.write('second');
    expect(contents()).to.deep.equal({ 'a.log.2026-11-22': 'precious', 'a.log': 'first second' });
  });

  it('is made anew at its next rotation where somebody has moved it away', () => {
    const sink = files().open(path, 'daily');
    sink.write('first');
    rmSync(path);
    at('2026-11-23T00:00:00Z');
    sink.write('second');
    expect(contents()).to.deep.equal({ 'a.log': 'second' });
  });

  it('is shared by those who open it, until the last of them closes it', () => {
    const [all, descriptors] = [files(), () => readdirSync('/proc/self/fd').length];
    const before = descriptors();
    const [first, second] = [all.open(path, 'daily'), all.open(path, 'never')];
    expect(descriptors()).to.equal(before + 1);
    first.write('1');
    first.close();
    first.close();
    first.write('lost');
    second.write('2');
    second.close();
    expect(descriptors()).to.equal(before);
    expect(contents()).to.deep.equal({ 'a.log': '12' });
  });

  it('is refused where it is a folder or a pipe, and holds nobody up', () => {
    execFileSync('mkfifo', [path]);
    expect(() => files().open(path, 'daily')).to.throw();
    expect(() => files().open(folder, 'daily')).to.throw();
    expect(() => files().open(join(folder, 'nowhere', 'a.log'), 'daily')).to.throw();
  });
});
