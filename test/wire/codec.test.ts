import { expect } from 'chai';
import { limits } from '../../src/base/limits.js';
import type { ParameterLayout } from '../../src/pkcs11/layouts.js';
import { MalformedFrame, Reader, Writer } from '../../src/wire/bytes.js';
import { calls } from '../../src/wire/calls.js';
import { layoutOrder, parameterForms, readRequest, writeAnswer } from '../../src/wire/codec.js';
import { readHello, readWelcome, writeHello, writeWelcome } from '../../src/wire/handshake.js';
import { tableHash } from '../../src/wire/table-hash.js';

const callNumber = (name: string): number => calls.findIndex((call) => call.name === name);

/** A request frame, written by hand as the table of argument kinds in calls.ts says. */
function frame(name: string, write: (writer: Writer) => void): Buffer {
  const writer = new Writer();
  writer.u16(callNumber(name));
  write(writer);
  return writer.finish();
}

const findInit = frame('C_FindObjectsInit', (writer) => {
  writer.u64(7);
  writer.u32(1);
  writer.u64(3);
  writer.u8(0);
  writer.u32(2);
  writer.bytes(Buffer.from('k1'));
});

describe('the codec of calls', () => {
  it('has the 68 functions of CK_FUNCTION_LIST', () => {
    expect(calls).to.have.length(68);
    expect(new Set(calls.map((call) => call.name)).size).to.equal(68);
  });

  it('reads arguments by the names of the standard', () => {
    const { call, input } = readRequest(findInit);
    expect(call.name).to.equal('C_FindObjectsInit');
    expect(input['hSession']).to.equal(7);
    expect(input['pTemplate']).to.deep.equal([{ type: 3, value: Buffer.from('k1') }]);
  });

  it('keeps the slot id that fits no JavaScript number as an index', () => {
    const idOf = (id: bigint): Buffer =>
      frame('C_GetSlotInfo', (writer) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64LE(id);
        writer.bytes(bytes);
      });
    expect(readRequest(idOf(0x2000000000000001n)).input['slotID']).to.equal(0);
    expect(readRequest(idOf(0x2000000000000002n)).input['slotID']).to.equal(1);
    for (const other of [0n, 1n, 0x2000000000000000n, 0x1fffffffffffffffn, 0xffffffffffffffffn]) {
      expect(readRequest(idOf(other)).input['slotID']).to.equal(-1);
    }
  });

  it('writes CK_UNAVAILABLE_INFORMATION as all ones', () => {
    const row = calls[callNumber('C_GetAttributeValue')]!;
    const answer = writeAnswer(row, 0x12, { pTemplate: [{ lengthBytes: -1 }] });
    expect(answer.toString('hex')).to.equal(`12000000${'01'}${'ff'.repeat(8)}00000000`);
  });

  it('refuses every frame that is cut short, and every one with bytes behind its end', () => {
    for (let length = 0; length < findInit.length; length++) {
      expect(() => readRequest(findInit.subarray(0, length)), `${length} bytes`).to.throw(MalformedFrame);
    }
    expect(() => readRequest(Buffer.concat([findInit, Buffer.alloc(1)]))).to.throw(
      MalformedFrame,
      'behind its end',
    );
  });

  it('refuses counts beyond their bounds before it allocates for them', () => {
    const claim = (count: number): Buffer =>
      frame('C_FindObjectsInit', (writer) => {
        writer.u64(7);
        writer.u32(count);
      });
    expect(() => readRequest(claim(limits.templateAttributes + 1))).to.throw(MalformedFrame, 'attributes');
    expect(() => readRequest(claim(0xffffffff))).to.throw(MalformedFrame, 'attributes');
  });

  it('refuses templates nested too deep', () => {
    const nested = (depth: number): Buffer =>
      frame('C_FindObjectsInit', (writer) => {
        writer.u64(7);
        for (let level = 0; level < depth; level++) {
          writer.u32(1);
          writer.u64(0x40000211);
          writer.u8(1);
        }
        writer.u32(0);
      });
    expect(readRequest(nested(limits.templateDepth)).input['pTemplate']).to.have.length(1);
    expect(() => readRequest(nested(limits.templateDepth + 1))).to.throw(MalformedFrame, 'nested');
  });

  it('reads parameters that point to structures', () => {
    const layoutNumber = (name: ParameterLayout): number => layoutOrder.indexOf(name);
    const mechanism = (write: (writer: Writer) => void): unknown =>
      readRequest(
        frame('C_EncryptInit', (writer) => {
          writer.u64(7);
          writer.u8(parameterForms.struct);
          writer.u64(1);
          write(writer);
          writer.u64(9);
        }),
      ).input['pMechanism'];
    const wrap = mechanism((writer) => {
      writer.u8(layoutNumber('CK_RSA_AES_KEY_WRAP_PARAMS'));
      for (const number of [256, 0x250, 2, 0]) writer.u64(number);
      writer.u32(0);
      writer.u8(0);
    });
    expect(wrap).to.deep.equal({
      type: 1,
      parameter: {
        layout: 'CK_RSA_AES_KEY_WRAP_PARAMS',
        ulAESKeyBits: 256,
        pOAEPParams: {
          layout: 'CK_RSA_PKCS_OAEP_PARAMS',
          hashAlg: 0x250,
          mgf: 2,
          source: 0,
          pSourceData: Buffer.alloc(0),
          sourceGiven: false,
        },
      },
    });
    const kdf = (count: number) =>
      mechanism((writer) => {
        writer.u8(layoutNumber('CK_SP800_108_KDF_PARAMS'));
        writer.u64(0x251);
        writer.u32(count);
        for (let at = 0; at < count; at++) {
          writer.u64(at);
          writer.u32(1);
          writer.u8(at);
        }
      }) as { parameter: { pDataParams: { type: number; pValue: Buffer }[] } };
    expect(kdf(3).parameter.pDataParams[2]).to.include({ type: 2 });
    expect(kdf(limits.parameterEntries).parameter.pDataParams).to.have.length(limits.parameterEntries);
    expect(() => kdf(limits.parameterEntries + 1)).to.throw(MalformedFrame, 'structures');
  });

  it('writes frames of any size one after the other, each of which stays as it is', () => {
    const writer = new Writer(16);
    const lengths = [0, 5, 16, 1, 40, 7, 100];
    const frames = lengths.map((length, at) => {
      for (let left = length; left > 0; left--) writer.u8(at + 1);
      return writer.finish();
    });
    expect(frames.map((frame) => [...frame])).to.deep.equal(
      lengths.map((length, at) => Array(length).fill(at + 1)),
    );
  });

  it('leaves nothing of a frame where it was when it had to move, or was given up', () => {
    const writer = new Writer(16);
    const before = writer.finish();
    writer.bytes(Buffer.from('secret'));
    writer.bytes(Buffer.alloc(100));
    writer.discard();
    expect(Buffer.from(before.buffer).toString('latin1')).not.to.contain('secret');
    writer.bytes(Buffer.alloc(0));
    expect(Buffer.from(writer.finish().buffer).toString('latin1')).not.to.contain('secret');
  });
});

describe('the handshake', () => {
  const hello = { token: undefined, pid: 4711, program: 'nginx' };

  it('carries who is there and the fingerprint of the tables', () => {
    expect(readHello(writeHello(hello))).to.deep.equal({ ...hello, configFile: undefined, tableHash });
  });

  it('carries the path of a configuration file, which a module of other tables may not have', () => {
    const configFile = '/etc/cloudhsm-pkcs11.cfg';
    expect(readHello(writeHello({ ...hello, configFile })).configFile).to.equal(configFile);
    const older = writeHello({ ...hello, tableHash: 1n });
    expect(readHello(older.subarray(0, older.length - 2)).tableHash).to.equal(1n);
    expect(() => readHello(writeHello({ ...hello, configFile: `/${'x'.repeat(4096)}` }))).to.throw(
      MalformedFrame,
      'path too long',
    );
  });

  it('returns a refusal with its reason', () => {
    const welcome = { status: 'tooMany', token: Buffer.alloc(16), text: 'no more' } as const;
    expect(readWelcome(writeWelcome(welcome))).to.deep.equal(welcome);
  });

  it('refuses a peer that speaks something else', () => {
    expect(() => readHello(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).to.throw(
      MalformedFrame,
      'no CloudHSM module',
    );
  });

  it('keeps control characters of a program name out of the log', () => {
    expect(readHello(writeHello({ ...hello, program: 'a\nb\x1b[31m' })).program).to.equal('a?b?[31m');
  });
});

describe('Reader', () => {
  it('never reads beyond the end', () => {
    const reader = new Reader(Buffer.from([1, 2, 3]));
    expect(() => reader.u32()).to.throw(MalformedFrame);
    expect(reader.u8()).to.equal(1);
    expect(() => reader.bytes(3)).to.throw(MalformedFrame);
  });
});
