import { expect } from 'chai';
import type { Applications } from '../../src/bridge/applications.js';
import type { InProcessChannel } from '../../src/bridge/in-process.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { Writer } from '../../src/wire/bytes.js';
import { calls } from '../../src/wire/calls.js';
import { parameterForms } from '../../src/wire/codec.js';
import { writeHello } from '../../src/wire/handshake.js';
import { memoryEngine, openChannel, PASSWORD } from '../support/in-process.js';

/** At least a million by default; CLOUDHSM_LOCAL_FUZZ_FRAMES lengthens it. CLOUDHSM_LOCAL_FUZZ_SEED repeats a run. */
const FRAMES = Number(process.env['CLOUDHSM_LOCAL_FUZZ_FRAMES'] ?? 1_000_000);
const SEED = Number(process.env['CLOUDHSM_LOCAL_FUZZ_SEED'] ?? 20_261_121);

/** xorshift32: a run can be repeated from its seed. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const callNumber = (name: string): number => calls.findIndex((call) => call.name === name);

function request(name: string, write: (writer: Writer) => void): Buffer {
  const writer = new Writer();
  writer.u16(callNumber(name));
  write(writer);
  return writer.finish();
}

const bytes = (writer: Writer, value: Buffer): void => {
  writer.u32(value.length);
  writer.bytes(value);
};
const attribute = (writer: Writer, type: number, value: Buffer): void => {
  writer.u64(type);
  writer.u8(0);
  bytes(writer, value);
};
const room = (writer: Writer, capacity: number): void => writer.u64(capacity);

/** The handle in an answer: behind u32 CK_RV and u8, and behind what a mechanism gives back, u32 0. */
const sessionOf = (answer: Buffer): number => answer.readUInt32LE(5);
const generatedKeyOf = (answer: Buffer): number => answer.readUInt32LE(9);

/** A valid request. */
interface Seed {
  readonly frame: Buffer;
  /** Its first argument is a session. */
  readonly onSession: boolean;
}

/** Behind the call's number. */
const SESSION_AT = 2;

/** Valid requests that reach deep into the engine, for a key that exists. */
function seeds(key: number): Seed[] {
  const mechanism = (writer: Writer, type: number): void => {
    writer.u8(parameterForms.none);
    writer.u64(type);
  };
  const gcm = (writer: Writer): void => {
    writer.u8(parameterForms.struct);
    writer.u64(CKM.CKM_AES_GCM);
    writer.u8(3);
    bytes(writer, Buffer.alloc(12));
    writer.u64(96);
    bytes(writer, Buffer.from('aad'));
    writer.u64(128);
  };
  const onSession = (name: string, write: (writer: Writer) => void = () => undefined): Seed => ({
    onSession: true,
    frame: request(name, (writer) => {
      writer.u64(0);
      write(writer);
    }),
  });
  const alone = (name: string, write: (writer: Writer) => void): Seed => ({
    onSession: false,
    frame: request(name, write),
  });
  return [
    onSession('C_GetSessionInfo'),
    onSession('C_FindObjectsInit', (writer) => {
      writer.u32(2);
      attribute(writer, CKA.CKA_LABEL, Buffer.from('fuzz'));
      attribute(writer, CKA.CKA_TOKEN, Buffer.from([0]));
    }),
    onSession('C_FindObjects', (writer) => {
      room(writer, 10);
      writer.u64(10);
    }),
    onSession('C_FindObjectsFinal'),
    onSession('C_GetAttributeValue', (writer) => {
      writer.u64(key);
      writer.u32(2);
      writer.u64(CKA.CKA_LABEL);
      room(writer, 64);
      writer.u64(CKA.CKA_VALUE);
      room(writer, -1);
    }),
    onSession('C_EncryptInit', (writer) => {
      gcm(writer);
      writer.u64(key);
    }),
    onSession('C_Encrypt', (writer) => {
      bytes(writer, Buffer.from('some plaintext'));
      room(writer, 64);
    }),
    onSession('C_DigestInit', (writer) => mechanism(writer, CKM.CKM_SHA256)),
    onSession('C_DigestUpdate', (writer) => bytes(writer, Buffer.from('part'))),
    onSession('C_DigestFinal', (writer) => room(writer, 32)),
    onSession('C_GenerateRandom', (writer) => writer.u64(32)),
    onSession('C_GenerateKey', (writer) => {
      mechanism(writer, CKM.CKM_AES_KEY_GEN);
      writer.u32(1);
      attribute(writer, CKA.CKA_VALUE_LEN, Buffer.from([16, 0, 0, 0, 0, 0, 0, 0]));
    }),
    onSession('C_CreateObject', (writer) => {
      writer.u32(3);
      attribute(writer, CKA.CKA_CLASS, Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]));
      attribute(writer, CKA.CKA_KEY_TYPE, Buffer.from([0x1f, 0, 0, 0, 0, 0, 0, 0]));
      attribute(writer, CKA.CKA_VALUE, Buffer.alloc(16, 7));
    }),
    alone('C_GetSlotList', (writer) => {
      writer.u8(1);
      room(writer, 4);
    }),
    alone('C_GetTokenInfo', (writer) => writer.slot(0)),
  ];
}

/** The request on a session that exists. */
function ready({ frame, onSession }: Seed, session: number): Buffer {
  const copy = Buffer.from(frame);
  if (onSession) copy.writeUInt32LE(session, SESSION_AT);
  return copy;
}

/** One of the ways frames go wrong on their way or by intent. */
function mutated(frame: Buffer, random: (below: number) => number): Buffer {
  switch (random(6)) {
    case 0:
      return frame.subarray(0, random(frame.length + 1));
    case 1:
      return Buffer.concat([frame, Buffer.alloc(1 + random(16), random(256))]);
    case 2:
      return Buffer.from(Array.from({ length: random(64) }, () => random(256)));
    case 3:
      frame.writeUInt32LE(random(0xffffffff), random(Math.max(1, frame.length - 4)));
      return frame;
    default:
      for (let flips = 1 + random(4); flips > 0; flips--) frame[random(frame.length)]! ^= 1 << random(8);
      return frame;
  }
}

interface Client {
  readonly channel: InProcessChannel;
  readonly session: number;
  readonly key: number;
}

async function connect(applications: Applications, login: boolean): Promise<Client> {
  const channel = openChannel(applications);
  await channel.hello();
  const opened = await channel.exchange(
    request('C_OpenSession', (writer) => {
      writer.slot(0);
      writer.u64(6);
      writer.u8(0);
      writer.u8(0);
    }),
  );
  const session = sessionOf(opened!);
  if (!login) return { channel, session, key: 0 };
  await channel.exchange(
    request('C_Login', (writer) => {
      writer.u64(session);
      writer.u64(1);
      bytes(writer, Buffer.from(`crypto_user:${PASSWORD}`));
    }),
  );
  const generated = await channel.exchange(ready(seeds(0)[11]!, session));
  return { channel, session, key: generatedKeyOf(generated!) };
}

describe('the bridge under malformed frames', function () {
  this.timeout(0);

  it(`survives ${FRAMES.toLocaleString('en')} mutated frames, and nobody else notices (seed ${SEED})`, async () => {
    const random = generator(SEED);
    const { applications } = await memoryEngine();
    const bystander = await connect(applications, true);
    const info = request('C_GetSessionInfo', (writer) => writer.u64(bystander.session));
    const expected = await bystander.channel.exchange(info);
    let client = await connect(applications, true);
    let valid = seeds(client.key);
    const refused = { connections: 0 };
    for (let sent = 0; sent < FRAMES; sent++) {
      // Session handles stay right in most frames: with a wrong one nothing behind the session is reached.
      const frame = ready(valid[random(valid.length)]!, client.session);
      await client.channel.exchange(mutated(frame, random));
      if (!client.channel.open) {
        refused.connections++;
        // Logging in costs a password hash: most fuzzing goes on without it.
        client = await connect(applications, refused.connections % 2048 === 0);
        if (client.key !== 0) valid = seeds(client.key);
      }
      if (sent % 100_000 === 0) expect(await bystander.channel.exchange(info)).to.deep.equal(expected);
    }
    expect(refused.connections).to.be.greaterThan(FRAMES / 10);
    expect(await bystander.channel.exchange(info)).to.deep.equal(expected);
    client.channel.close();
    expect(applications.status()).to.have.length(1);
  });

  it('refuses a hello with other tables and says why', async () => {
    const { applications } = await memoryEngine({ hsms: 1 });
    const channel = openChannel(applications);
    const answer = await channel.exchange(
      writeHello({ token: undefined, pid: 1, program: 'old', tableHash: 1n }),
    );
    expect(answer!.toString('utf8')).to.contain('different versions');
    expect(channel.open).to.equal(false);
  });

  it('refuses to join an application that does not exist', async () => {
    const { applications } = await memoryEngine({ hsms: 1 });
    expect((await openChannel(applications).hello(Buffer.alloc(16, 9))).status).to.equal(
      'unknownApplication',
    );
  });
});
