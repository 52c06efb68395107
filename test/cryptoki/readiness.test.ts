import { expect } from 'chai';
import { type Log, silentLog } from '../../src/base/log.js';
import { ReadinessRecord } from '../../src/cryptoki/readiness.js';

const client = (program: string) => ({ pid: 1, program });

describe('the readiness record', () => {
  it('counts by deviation, call and program, with the first and the last time', () => {
    let nowMs = 1000;
    const record = new ReadinessRecord(silentLog, undefined, () => nowMs++);
    record.note('read-only-session', 'C_OpenSession', client('a'));
    record.note('read-only-session', 'C_OpenSession', client('b'));
    record.note('read-only-session', 'C_OpenSession', client('a'));
    const line = { deviation: 'read-only-session', call: 'C_OpenSession' };
    expect(record.uses()).to.deep.equal([
      { ...line, program: 'a', count: 2, firstMs: 1000, lastMs: 1002 },
      { ...line, program: 'b', count: 1, firstMs: 1001, lastMs: 1001 },
    ]);
  });

  it('goes on where an earlier one ended', () => {
    const record = new ReadinessRecord(silentLog, undefined, () => 50);
    record.note('copy-object', 'C_CopyObject', client('a'));
    const later = new ReadinessRecord(silentLog, undefined, () => 70);
    later.restore(record.uses());
    later.note('copy-object', 'C_CopyObject', client('a'));
    expect(later.uses()).to.deep.equal([
      { deviation: 'copy-object', call: 'C_CopyObject', program: 'a', count: 2, firstMs: 50, lastMs: 70 },
    ]);
  });

  it('keeps what ever so many programs do, under one name from the 201st on', () => {
    const lines: string[] = [];
    const log = { ...silentLog, warn: (_: unknown, text: string) => lines.push(text) } as unknown as Log;
    const record = new ReadinessRecord(log);
    for (let count = 0; count < 1000; count++) {
      record.note('copy-object', 'C_CopyObject', client(`program ${count}`));
    }
    const uses = record.uses();
    expect(uses).to.have.length(201);
    expect(uses.find(({ program }) => program === '(other programs)')!.count).to.equal(800);
    expect(lines).to.have.length(201);
  });

  it('says once what a program does, whichever call does it', () => {
    const lines: string[] = [];
    const log = { ...silentLog, warn: (_: unknown, text: string) => lines.push(text) } as unknown as Log;
    const record = new ReadinessRecord(log);
    for (const call of ['C_GenerateKey', 'C_GenerateKey', 'C_CreateObject']) {
      record.note('sensitive-false', call, client('a'));
    }
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(
      /^a makes a key with CKA_SENSITIVE FALSE \(C_GenerateKey\)\. CloudHSM answers CKR_/,
    );
  });

  it('tells whoever keeps it of new lines and of new counts', () => {
    const told: boolean[] = [];
    const record = new ReadinessRecord(silentLog, (isNew) => told.push(isNew));
    record.note('copy-object', 'C_CopyObject', client('a'));
    record.note('copy-object', 'C_CopyObject', client('a'));
    record.clear();
    expect(record.uses()).to.deep.equal([]);
    expect(told).to.deep.equal([true, false, true]);
  });
});
