import { createHash } from 'node:crypto';
import type { CkrName } from '../../src/pkcs11/ckr.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import { ROOM_QUERY, type Room } from '../../src/wire/arguments.js';
import type { CallName } from '../../src/wire/calls.js';
import { PASSWORD } from './in-process.js';
import { dataRefusal, isCipher, keyTypes, names, type OperationKind, result } from './model-operations.js';
import { mechanism, template } from './program.js';

/*
 * What PKCS#11 says of sessions, logins, objects and operations (v2.40 base, sections 5.6 to 5.12), as a model: for any call at any
 * time it tells the answer. Nothing in here comes from src/cryptoki. Where the standard leaves it open, the project's choice is
 * marked.
 */

export interface ModelKey {
  readonly handle: number;
  readonly type: 'aes' | 'hmac';
  readonly value: Buffer;
  readonly token: boolean;
  readonly session: ModelSession;
  alive: boolean;
}

interface Operation {
  readonly key: ModelKey | undefined;
  inParts: boolean;
  /** What came in parts; of a cipher, what waits for the rest of its block. */
  data: Buffer;
}

interface ModelSession {
  readonly handle: number;
  readonly readWrite: boolean;
  readonly operations: Map<OperationKind, Operation>;
  find: Set<number> | undefined;
}

/** A call, what it must answer, and what it changes. */
export interface Expected {
  readonly call: CallName;
  readonly input: object;
  readonly code: CkrName;
  /** Judges the outputs of a call that does not fail otherwise than with CKR_BUFFER_TOO_SMALL. */
  readonly output?: (output: Readonly<Record<string, unknown>>) => unknown;
}

/** From here on a place names what is not there, or does not fit. */
const ODD_PLACE = 6;
const BLOCK_BYTES = 16;
const HASH_BYTES = 32;
const NOTHING = Buffer.alloc(0);

/** How a buffer is offered. */
export type Offer = 'query' | 'short' | 'enough';

/** An application, one slot. */
export class SessionModel {
  readonly #sessions: ModelSession[] = [];
  readonly #keys: ModelKey[] = [];
  readonly #closed: number[] = [1];
  #loggedIn = false;

  /** `label` is the mark of this application's keys. */
  constructor(private readonly label: string) {}

  /** One of the open sessions, or, from `ODD_PLACE` up, one that is not open. */
  #session(at: number): ModelSession | number {
    const open = at < ODD_PLACE ? this.#sessions[at % this.#sessions.length] : undefined;
    return open ?? this.#closed[at % this.#closed.length]!;
  }

  /** One of the last keys of a type, or, from `ODD_PLACE` up, any there ever was. */
  #key(at: number, type?: ModelKey['type']): ModelKey | undefined {
    if (at >= ODD_PLACE) return this.#keys[at % this.#keys.length];
    const keys = this.#keys.filter((key) => type === undefined || key.type === type);
    return keys.at(-1 - (at % Math.max(1, keys.length)));
  }

  #on(
    at: number,
    call: CallName,
    input: object,
    expect: (session: ModelSession) => CkrName | Pick<Expected, 'code' | 'output'>,
  ): Expected {
    const session = this.#session(at);
    const hSession = typeof session === 'number' ? session : session.handle;
    const answer = typeof session === 'number' ? 'CKR_SESSION_HANDLE_INVALID' : expect(session);
    return {
      call,
      input: { hSession, ...input },
      ...(typeof answer === 'string' ? { code: answer } : answer),
    };
  }

  open(readWrite: boolean): Expected {
    const flags = readWrite ? 6 : 4;
    return {
      call: 'C_OpenSession',
      input: { slotID: 0, flags, pApplication: false, Notify: false },
      code: 'CKR_OK',
      output: ({ phSession }) => {
        const handle = phSession as number;
        this.#sessions.push({ handle, readWrite, operations: new Map(), find: undefined });
      },
    };
  }

  #end(session: ModelSession): void {
    this.#closed.push(session.handle);
    this.#sessions.splice(this.#sessions.indexOf(session), 1);
    for (const key of this.#keys) if (!key.token && key.session === session) key.alive = false;
    if (this.#sessions.length === 0) this.#loggedIn = false;
  }

  close(at: number): Expected {
    return this.#on(at, 'C_CloseSession', {}, (session) => {
      this.#end(session);
      return 'CKR_OK';
    });
  }

  closeAll(): Expected {
    for (const session of [...this.#sessions]) this.#end(session);
    return { call: 'C_CloseAllSessions', input: { slotID: 0 }, code: 'CKR_OK' };
  }

  login(at: number, right: boolean): Expected {
    const pin = right ? `crypto_user:${PASSWORD}` : `nobody:${PASSWORD}`;
    return this.#on(at, 'C_Login', { userType: 1, pPin: Buffer.from(pin) }, () => {
      if (this.#loggedIn) return 'CKR_USER_ALREADY_LOGGED_IN';
      if (!right) return 'CKR_PIN_INCORRECT';
      this.#loggedIn = true;
      return 'CKR_OK';
    });
  }

  /** Session objects are private and end, and with them what uses keys; that everything else ends as well is ours. */
  logout(at: number): Expected {
    return this.#on(at, 'C_Logout', {}, () => {
      if (!this.#loggedIn) return 'CKR_USER_NOT_LOGGED_IN';
      this.#loggedIn = false;
      for (const key of this.#keys) if (!key.token) key.alive = false;
      for (const session of this.#sessions) {
        session.operations.clear();
        session.find = undefined;
      }
      return 'CKR_OK';
    });
  }

  create(at: number, type: ModelKey['type'], token: boolean, seed: number): Expected {
    const value = createHash('sha256').update(`${seed}`).digest();
    const pTemplate = template({
      CKA_CLASS: CKO.CKO_SECRET_KEY,
      CKA_KEY_TYPE: type === 'aes' ? CKK.CKK_AES : CKK.CKK_GENERIC_SECRET,
      CKA_VALUE: value,
      CKA_TOKEN: token,
      CKA_LABEL: this.label,
      ...(type === 'aes' ? { CKA_ENCRYPT: true, CKA_DECRYPT: true } : { CKA_SIGN: true, CKA_VERIFY: true }),
    });
    return this.#on(at, 'C_CreateObject', { pTemplate }, (session) => {
      if (!this.#loggedIn) return 'CKR_USER_NOT_LOGGED_IN';
      if (token && !session.readWrite) return 'CKR_SESSION_READ_ONLY';
      const output: Expected['output'] = ({ phObject }) => {
        this.#keys.push({ handle: phObject as number, type, value, token, session, alive: true });
      };
      return { code: 'CKR_OK', output };
    });
  }

  destroy(at: number, keyAt: number): Expected {
    const key = this.#key(keyAt);
    return this.#on(at, 'C_DestroyObject', { hObject: key?.handle ?? 2 }, (session) => {
      if (!this.#loggedIn) return 'CKR_USER_NOT_LOGGED_IN';
      if (key?.alive !== true) return 'CKR_OBJECT_HANDLE_INVALID';
      if (key.token && !session.readWrite) return 'CKR_SESSION_READ_ONLY';
      key.alive = false;
      return 'CKR_OK';
    });
  }

  findInit(at: number): Expected {
    return this.#on(
      at,
      'C_FindObjectsInit',
      { pTemplate: template({ CKA_LABEL: this.label }) },
      (session) => {
        if (session.find !== undefined) return 'CKR_OPERATION_ACTIVE';
        const found = this.#loggedIn ? this.#keys.filter(({ alive }) => alive) : [];
        session.find = new Set(found.map(({ handle }) => handle));
        return 'CKR_OK';
      },
    );
  }

  /** "A NULL array asks how many there are": CloudHSM's (reference, section 6). */
  find(at: number, max: number, asks: boolean): Expected {
    const phObject = { room: asks ? ROOM_QUERY : max, max };
    return this.#on(at, 'C_FindObjects', { phObject }, ({ find }) => {
      if (find === undefined) return 'CKR_OPERATION_NOT_INITIALIZED';
      const count = Math.min(max, find.size);
      const output: Expected['output'] = (given) => {
        const handles = given['phObject'] as readonly number[];
        if (handles.length !== count) return `${handles.length} objects instead of ${count}`;
        if (asks) return undefined;
        for (const handle of handles) if (!find.delete(handle)) return `object ${handle} a second time`;
        return undefined;
      };
      return { code: 'CKR_OK', output };
    });
  }

  findFinal(at: number): Expected {
    return this.#on(at, 'C_FindObjectsFinal', {}, (session) => {
      if (session.find === undefined) return 'CKR_OPERATION_NOT_INITIALIZED';
      session.find = undefined;
      return 'CKR_OK';
    });
  }

  /** Without a mechanism: ends the operation, as v3.0 has it. */
  init(at: number, kind: OperationKind, keyAt: number, cancels: boolean): Expected {
    const key = kind === 'digest' ? undefined : this.#key(keyAt, keyTypes[kind]);
    const name = { digest: 'CKM_SHA256', hmac: 'CKM_SHA256_HMAC', aes: 'CKM_AES_ECB' } as const;
    const used = kind === 'digest' ? 'digest' : keyTypes[kind];
    const pMechanism = cancels ? null : mechanism(name[used]);
    const hKey = kind === 'digest' ? {} : { hKey: key?.handle ?? 2 };
    return this.#on(at, names[kind].init, { pMechanism, ...hKey }, ({ operations }) => {
      if (cancels) return operations.delete(kind) ? 'CKR_OK' : 'CKR_ARGUMENTS_BAD';
      if (operations.has(kind)) return 'CKR_OPERATION_ACTIVE';
      if (kind !== 'digest') {
        if (!this.#loggedIn) return 'CKR_USER_NOT_LOGGED_IN';
        if (key?.alive !== true) return 'CKR_KEY_HANDLE_INVALID';
        if (key.type !== used) return 'CKR_KEY_TYPE_INCONSISTENT';
      }
      operations.set(kind, { key, inParts: false, data: NOTHING });
      return 'CKR_OK';
    });
  }

  /** Runs on the operation, which any failure but CKR_BUFFER_TOO_SMALL ends; data comes whole or in parts. */
  #run(
    session: ModelSession,
    kind: OperationKind,
    form: 'whole' | 'parts',
    run: (operation: Operation) => CkrName | Pick<Expected, 'code' | 'output'>,
  ): CkrName | Pick<Expected, 'code' | 'output'> {
    const operation = session.operations.get(kind);
    if (operation === undefined) return 'CKR_OPERATION_NOT_INITIALIZED';
    const mixed = form === 'whole' && operation.inParts;
    const answer = mixed ? 'CKR_OPERATION_ACTIVE' : run(operation);
    const code = typeof answer === 'string' ? answer : answer.code;
    if (code !== 'CKR_OK' && code !== 'CKR_BUFFER_TOO_SMALL') session.operations.delete(kind);
    return answer;
  }

  /** An output of known length: asked for, too long for its buffer, or given, which `done` hears. */
  #give(
    offer: Offer,
    name: string,
    bytes: Buffer,
    key: ModelKey | undefined,
    done: () => void,
    { asksHsm = bytes.length > 0, lengthIsLate = false } = {},
  ): CkrName | Pick<Expected, 'code' | 'output'> {
    const judge =
      (expected: Buffer | { length: number }): Expected['output'] =>
      (output) => {
        const given = output[name] as Buffer | { length: number };
        const same = Buffer.isBuffer(expected)
          ? Buffer.isBuffer(given) && expected.equals(given)
          : given.length === expected.length;
        return same ? undefined : `${name} is not what it should be`;
      };
    if (offer === 'query') return { code: 'CKR_OK', output: judge({ length: bytes.length }) };
    const isGone = key?.alive === false && asksHsm;
    // How long what was decrypted is, is known when it has been.
    if (isGone && lengthIsLate) return 'CKR_KEY_HANDLE_INVALID';
    if (offer === 'short' && bytes.length > 1)
      return { code: 'CKR_BUFFER_TOO_SMALL', output: judge({ length: bytes.length }) };
    if (isGone) return 'CKR_KEY_HANDLE_INVALID';
    done();
    return { code: 'CKR_OK', output: judge(bytes) };
  }

  #verify(session: ModelSession, { key }: Operation, signature: 'right' | 'wrong' | 'short'): CkrName {
    if (signature === 'short') return 'CKR_SIGNATURE_LEN_RANGE';
    if (key!.alive === false) return 'CKR_KEY_HANDLE_INVALID';
    session.operations.delete('verify');
    return signature === 'right' ? 'CKR_OK' : 'CKR_SIGNATURE_INVALID';
  }

  #signature(session: ModelSession | number, data: (operation: Operation) => Buffer, offer: Offer): Buffer {
    const operation = typeof session === 'number' ? undefined : session.operations.get('verify');
    const right =
      operation === undefined
        ? Buffer.alloc(HASH_BYTES)
        : result('verify', operation.key?.value, data(operation));
    if (offer === 'query') right[0] = right[0]! ^ 1;
    return offer === 'short' ? right.subarray(1) : right;
  }

  whole(at: number, kind: OperationKind, data: Buffer, offer: Offer): Expected {
    const { whole, data: dataName, output } = names[kind];
    if (kind === 'verify') {
      const pSignature = this.#signature(this.#session(at), () => data, offer);
      const quality = offer === 'enough' ? 'right' : offer === 'short' ? 'short' : 'wrong';
      return this.#on(at, whole, { pData: data, pSignature }, (session) =>
        this.#run(session, kind, 'whole', (operation) => this.#verify(session, operation, quality)),
      );
    }
    const ragged = isCipher(kind) && data.length % BLOCK_BYTES !== 0;
    const used = ragged ? 'enough' : offer;
    return this.#on(at, whole, { [dataName]: data, [output]: roomFor(used, data) }, (session) =>
      this.#run(session, kind, 'whole', ({ key }) => {
        if (ragged) return key!.alive ? dataRefusal(kind) : 'CKR_KEY_HANDLE_INVALID';
        const done = () => session.operations.delete(kind);
        const how = { asksHsm: true, lengthIsLate: kind === 'decrypt' };
        return this.#give(used, output, result(kind, key?.value, data), key, done, how);
      }),
    );
  }

  update(at: number, kind: OperationKind, data: Buffer, offer: Offer): Expected {
    const { update, part, partOutput } = names[kind];
    const room = isCipher(kind) ? { [partOutput]: roomFor(offer, data) } : {};
    return this.#on(at, update, { [part]: data, ...room }, (session) =>
      this.#run(session, kind, 'parts', (operation) => {
        const all = Buffer.concat([operation.data, data]);
        if (!isCipher(kind)) {
          operation.data = all;
          operation.inParts = true;
          return 'CKR_OK';
        }
        const ready = all.length - (all.length % BLOCK_BYTES);
        const made = result(kind, operation.key?.value, all.subarray(0, ready));
        return this.#give(offer, partOutput, made, operation.key, () => {
          operation.data = all.subarray(ready);
          operation.inParts = true;
        });
      }),
    );
  }

  final(at: number, kind: OperationKind, offer: Offer): Expected {
    const { final, last } = names[kind];
    if (kind === 'verify') {
      const pSignature = this.#signature(this.#session(at), (operation) => operation.data, offer);
      const quality = offer === 'enough' ? 'right' : offer === 'short' ? 'short' : 'wrong';
      return this.#on(at, final, { pSignature }, (session) =>
        this.#run(session, kind, 'parts', (operation) => this.#verify(session, operation, quality)),
      );
    }
    const session = this.#session(at);
    const held = typeof session === 'number' ? undefined : session.operations.get(kind)?.data;
    const ragged = isCipher(kind) && held !== undefined && held.length > 0;
    const used = ragged ? 'enough' : offer;
    return this.#on(at, final, { [last]: roomFor(used, NOTHING) }, (here) =>
      this.#run(here, kind, 'parts', ({ key, data }) => {
        if (ragged) return key!.alive ? dataRefusal(kind) : 'CKR_KEY_HANDLE_INVALID';
        const bytes = isCipher(kind) ? NOTHING : result(kind, key?.value, data);
        return this.#give(used, last, bytes, key, () => here.operations.delete(kind));
      }),
    );
  }
}

function roomFor(offer: Offer, data: Buffer): Room {
  if (offer === 'query') return ROOM_QUERY;
  return offer === 'short' ? 1 : data.length + 2 * HASH_BYTES;
}
