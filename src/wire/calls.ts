import type { InfoLayout } from '../pkcs11/layouts.js';

/**
 * How one argument of a PKCS#11 function travels. The C module and `codec.ts` both interpret these kinds.
 *
 * | kind       | C parameters                                | request                  | answer            |
 * |------------|---------------------------------------------|--------------------------|-------------------|
 * | session    | CK_SESSION_HANDLE                           | u64                      |                   |
 * | slot       | CK_SLOT_ID                                  | u64                      |                   |
 * | ulong      | CK_ULONG and its synonyms                   | u64                      |                   |
 * | flag       | CK_BBOOL                                    | u8                       |                   |
 * | bytes      | CK_BYTE_PTR, CK_ULONG                       | u32 n, n bytes           |                   |
 * | text       | CK_UTF8CHAR_PTR to a fixed size             | the bytes                |                   |
 * | pointer    | a pointer nobody follows                    | u8: is it non-NULL       |                   |
 * | mechanism  | CK_MECHANISM_PTR                            | see codec.ts             | returned bytes    |
 * | template   | CK_ATTRIBUTE_PTR, CK_ULONG                  | u32 count, attributes    |                   |
 * | query      | CK_ATTRIBUTE_PTR, CK_ULONG, filled in       | u32 count, attributes    | lengths and bytes |
 * | room       | CK_BYTE_PTR, CK_ULONG_PTR                   | i64 room                 | u64 n, bytes      |
 * | list       | CK_ULONG_PTR, CK_ULONG_PTR                  | i64 room                 | u64 n, u64s       |
 * | slots      | as list, of slots                           | i64 room                 | u64 n, u64s       |
 * | upTo       | CK_ULONG_PTR, CK_ULONG max, CK_ULONG_PTR    | i64 room, u64 max        | u64 n, u64s       |
 * | fill       | CK_BYTE_PTR, CK_ULONG                       | u64 n                    | n bytes           |
 * | outUlong   | CK_ULONG_PTR                                |                          | u64               |
 * | outSlot    | CK_SLOT_ID_PTR                              |                          | u64               |
 * | outStruct  | a pointer to one of the info structures     |                          | its fields        |
 *
 * A room is -1 where the buffer is NULL (a length query) and its capacity otherwise. An attribute of a query is u64 type and
 * its room; where its value is a template and its buffer is there, the buffer is an array of attributes to fill in, so it
 * follows as a query of its own. Its answer is u64 length, u32 count and that many bytes; for a template that many
 * entries, each u64 type, u64 length, u32 count and bytes.
 */
export type ArgumentKind =
  | 'session'
  | 'slot'
  | 'ulong'
  | 'flag'
  | 'bytes'
  | 'text'
  | 'pointer'
  | 'mechanism'
  | 'template'
  | 'query'
  | 'room'
  | 'list'
  | 'slots'
  | 'upTo'
  | 'fill'
  | 'outUlong'
  | 'outSlot'
  | 'outStruct';

export interface ArgumentRow {
  readonly name: string;
  readonly kind: ArgumentKind;
  /** Type in the C prototype where the kind allows several. */
  readonly cType?: string;
  /** Name of the length parameter in C, where the kind has one. */
  readonly length?: string;
  /** `text`: bytes; `outStruct`: which structure. */
  readonly size?: number;
  readonly layout?: InfoLayout;
}

export interface CallRow {
  readonly name: string;
  readonly arguments: readonly ArgumentRow[];
  /** The request holds a PIN, a key or plaintext: the module cleanses its copy. */
  readonly secret?: true;
  /** CloudHSM has no such function (reference section 3): it looks at no argument. */
  readonly absent?: true;
  /** Data that no frame holds goes through these, as its hash is "without limit" (reference sections 0, 9.3): Update for its
   * pieces and, for a call that takes it whole, Final. The arguments are a session, the data, and what Final has. Nothing of the
   * request is kept when it is answered. */
  readonly pieces?: { readonly update: string; readonly final?: string };
  /** What begins the operation that the call is about, and without a mechanism ends it: any failure but CKR_BUFFER_TOO_SMALL does
   * (v2.40 base, 5.2), also one of the module's own, which the engine does not hear of. */
  readonly begunBy?: string;
}

const hSession = { name: 'hSession', kind: 'session' } as const;
const slotID = { name: 'slotID', kind: 'slot' } as const;
const pMechanism = { name: 'pMechanism', kind: 'mechanism' } as const;

const bytes = <const N extends string>(name: N, length: string) => ({ name, kind: 'bytes', length }) as const;
const room = <const N extends string>(name: N, length: string) => ({ name, kind: 'room', length }) as const;
const ulong = <const N extends string>(name: N, cType = 'CK_ULONG') =>
  ({ name, kind: 'ulong', cType }) as const;
const outUlong = <const N extends string>(name: N, cType = 'CK_ULONG_PTR') =>
  ({ name, kind: 'outUlong', cType }) as const;
const pointer = <const N extends string>(name: N, cType = 'CK_VOID_PTR') =>
  ({ name, kind: 'pointer', cType }) as const;
const template = <const N extends string>(name: N, length = 'ulCount') =>
  ({ name, kind: 'template', length }) as const;
const info = <const N extends string, const L extends InfoLayout>(name: N, layout: L) =>
  ({ name, kind: 'outStruct', layout }) as const;

const hKey = ulong('hKey', 'CK_OBJECT_HANDLE');
const hObject = ulong('hObject', 'CK_OBJECT_HANDLE');
const pSlotList = { name: 'pSlotList', kind: 'slots', cType: 'CK_SLOT_ID_PTR', length: 'pulCount' } as const;
const pData = bytes('pData', 'ulDataLen');
const pPart = bytes('pPart', 'ulPartLen');
const pEncryptedPart = bytes('pEncryptedPart', 'ulEncryptedPartLen');
const roomForPart = room('pPart', 'pulPartLen');
const roomForEncryptedPart = room('pEncryptedPart', 'pulEncryptedPartLen');
const roomForSignature = room('pSignature', 'pulSignatureLen');
const pSignature = bytes('pSignature', 'ulSignatureLen');

const row = <const N extends string, const A extends readonly ArgumentRow[]>(name: N, ...args: A) =>
  ({ name, arguments: args }) as const;
const secret = <const R extends CallRow>(call: R) => ({ ...call, secret: true }) as const;
const inPieces = <const R extends CallRow>(call: R, update: string, final?: string) =>
  ({ ...call, pieces: { update, ...(final !== undefined && { final }) } }) as const;
const begunBy = <const R extends CallRow>(init: string, call: R) => ({ ...call, begunBy: init }) as const;
const absent = <const R extends CallRow>(call: R) => ({ ...call, absent: true }) as const;

/**
 * THE row per PKCS#11 function, in the order of CK_FUNCTION_LIST (v2.40 base, section 5). A call's number on the
 * wire is its place in this list. C_Initialize and C_GetFunctionList have rows for the sake of that order; the module
 * answers them itself and they are refused here.
 */
export const calls = [
  row('C_Initialize', pointer('pInitArgs')),
  row('C_Finalize', pointer('pReserved')),
  row('C_GetInfo', info('pInfo', 'CK_INFO')),
  row('C_GetFunctionList', pointer('ppFunctionList', 'CK_FUNCTION_LIST_PTR_PTR')),
  row('C_GetSlotList', { name: 'tokenPresent', kind: 'flag' }, pSlotList),
  row('C_GetSlotInfo', slotID, info('pInfo', 'CK_SLOT_INFO')),
  row('C_GetTokenInfo', slotID, info('pInfo', 'CK_TOKEN_INFO')),
  row('C_GetMechanismList', slotID, {
    name: 'pMechanismList',
    kind: 'list',
    cType: 'CK_MECHANISM_TYPE_PTR',
    length: 'pulCount',
  }),
  row('C_GetMechanismInfo', slotID, ulong('type', 'CK_MECHANISM_TYPE'), info('pInfo', 'CK_MECHANISM_INFO')),
  absent(
    secret(row('C_InitToken', slotID, bytes('pPin', 'ulPinLen'), { name: 'pLabel', kind: 'text', size: 32 })),
  ),
  absent(secret(row('C_InitPIN', hSession, bytes('pPin', 'ulPinLen')))),
  absent(secret(row('C_SetPIN', hSession, bytes('pOldPin', 'ulOldLen'), bytes('pNewPin', 'ulNewLen')))),
  row(
    'C_OpenSession',
    slotID,
    ulong('flags', 'CK_FLAGS'),
    pointer('pApplication'),
    pointer('Notify', 'CK_NOTIFY'),
    outUlong('phSession', 'CK_SESSION_HANDLE_PTR'),
  ),
  row('C_CloseSession', hSession),
  row('C_CloseAllSessions', slotID),
  row('C_GetSessionInfo', hSession, info('pInfo', 'CK_SESSION_INFO')),
  absent(row('C_GetOperationState', hSession, room('pOperationState', 'pulOperationStateLen'))),
  absent(
    row(
      'C_SetOperationState',
      hSession,
      bytes('pOperationState', 'ulOperationStateLen'),
      ulong('hEncryptionKey', 'CK_OBJECT_HANDLE'),
      ulong('hAuthenticationKey', 'CK_OBJECT_HANDLE'),
    ),
  ),
  secret(row('C_Login', hSession, ulong('userType', 'CK_USER_TYPE'), bytes('pPin', 'ulPinLen'))),
  row('C_Logout', hSession),
  secret(
    row('C_CreateObject', hSession, template('pTemplate'), outUlong('phObject', 'CK_OBJECT_HANDLE_PTR')),
  ),
  row(
    'C_CopyObject',
    hSession,
    hObject,
    template('pTemplate'),
    outUlong('phNewObject', 'CK_OBJECT_HANDLE_PTR'),
  ),
  row('C_DestroyObject', hSession, hObject),
  absent(row('C_GetObjectSize', hSession, hObject, outUlong('pulSize'))),
  secret(
    row('C_GetAttributeValue', hSession, hObject, { name: 'pTemplate', kind: 'query', length: 'ulCount' }),
  ),
  secret(row('C_SetAttributeValue', hSession, hObject, template('pTemplate'))),
  row('C_FindObjectsInit', hSession, template('pTemplate')),
  row('C_FindObjects', hSession, { name: 'phObject', kind: 'upTo', length: 'pulObjectCount' }),
  row('C_FindObjectsFinal', hSession),
  row('C_EncryptInit', hSession, pMechanism, hKey),
  begunBy(
    'C_EncryptInit',
    secret(row('C_Encrypt', hSession, pData, room('pEncryptedData', 'pulEncryptedDataLen'))),
  ),
  begunBy('C_EncryptInit', secret(row('C_EncryptUpdate', hSession, pPart, roomForEncryptedPart))),
  begunBy(
    'C_EncryptInit',
    row('C_EncryptFinal', hSession, room('pLastEncryptedPart', 'pulLastEncryptedPartLen')),
  ),
  row('C_DecryptInit', hSession, pMechanism, hKey),
  begunBy(
    'C_DecryptInit',
    secret(
      row('C_Decrypt', hSession, bytes('pEncryptedData', 'ulEncryptedDataLen'), room('pData', 'pulDataLen')),
    ),
  ),
  begunBy('C_DecryptInit', secret(row('C_DecryptUpdate', hSession, pEncryptedPart, roomForPart))),
  begunBy('C_DecryptInit', secret(row('C_DecryptFinal', hSession, room('pLastPart', 'pulLastPartLen')))),
  row('C_DigestInit', hSession, pMechanism),
  begunBy(
    'C_DigestInit',
    inPieces(
      row('C_Digest', hSession, pData, room('pDigest', 'pulDigestLen')),
      'C_DigestUpdate',
      'C_DigestFinal',
    ),
  ),
  begunBy('C_DigestInit', inPieces(row('C_DigestUpdate', hSession, pPart), 'C_DigestUpdate')),
  absent(row('C_DigestKey', hSession, hKey)),
  begunBy('C_DigestInit', row('C_DigestFinal', hSession, room('pDigest', 'pulDigestLen'))),
  row('C_SignInit', hSession, pMechanism, hKey),
  begunBy(
    'C_SignInit',
    inPieces(row('C_Sign', hSession, pData, roomForSignature), 'C_SignUpdate', 'C_SignFinal'),
  ),
  begunBy('C_SignInit', inPieces(row('C_SignUpdate', hSession, pPart), 'C_SignUpdate')),
  begunBy('C_SignInit', row('C_SignFinal', hSession, roomForSignature)),
  absent(row('C_SignRecoverInit', hSession, pMechanism, hKey)),
  absent(row('C_SignRecover', hSession, pData, roomForSignature)),
  row('C_VerifyInit', hSession, pMechanism, hKey),
  begunBy(
    'C_VerifyInit',
    inPieces(row('C_Verify', hSession, pData, pSignature), 'C_VerifyUpdate', 'C_VerifyFinal'),
  ),
  begunBy('C_VerifyInit', inPieces(row('C_VerifyUpdate', hSession, pPart), 'C_VerifyUpdate')),
  begunBy('C_VerifyInit', row('C_VerifyFinal', hSession, pSignature)),
  absent(row('C_VerifyRecoverInit', hSession, pMechanism, hKey)),
  absent(row('C_VerifyRecover', hSession, pSignature, room('pData', 'pulDataLen'))),
  absent(secret(row('C_DigestEncryptUpdate', hSession, pPart, roomForEncryptedPart))),
  absent(secret(row('C_DecryptDigestUpdate', hSession, pEncryptedPart, roomForPart))),
  absent(secret(row('C_SignEncryptUpdate', hSession, pPart, roomForEncryptedPart))),
  absent(secret(row('C_DecryptVerifyUpdate', hSession, pEncryptedPart, roomForPart))),
  row(
    'C_GenerateKey',
    hSession,
    pMechanism,
    template('pTemplate'),
    outUlong('phKey', 'CK_OBJECT_HANDLE_PTR'),
  ),
  row(
    'C_GenerateKeyPair',
    hSession,
    pMechanism,
    template('pPublicKeyTemplate', 'ulPublicKeyAttributeCount'),
    template('pPrivateKeyTemplate', 'ulPrivateKeyAttributeCount'),
    outUlong('phPublicKey', 'CK_OBJECT_HANDLE_PTR'),
    outUlong('phPrivateKey', 'CK_OBJECT_HANDLE_PTR'),
  ),
  row(
    'C_WrapKey',
    hSession,
    pMechanism,
    ulong('hWrappingKey', 'CK_OBJECT_HANDLE'),
    hKey,
    room('pWrappedKey', 'pulWrappedKeyLen'),
  ),
  secret(
    row(
      'C_UnwrapKey',
      hSession,
      pMechanism,
      ulong('hUnwrappingKey', 'CK_OBJECT_HANDLE'),
      bytes('pWrappedKey', 'ulWrappedKeyLen'),
      template('pTemplate', 'ulAttributeCount'),
      outUlong('phKey', 'CK_OBJECT_HANDLE_PTR'),
    ),
  ),
  secret(
    row(
      'C_DeriveKey',
      hSession,
      pMechanism,
      ulong('hBaseKey', 'CK_OBJECT_HANDLE'),
      template('pTemplate', 'ulAttributeCount'),
      outUlong('phKey', 'CK_OBJECT_HANDLE_PTR'),
    ),
  ),
  secret(row('C_SeedRandom', hSession, bytes('pSeed', 'ulSeedLen'))),
  secret(row('C_GenerateRandom', hSession, { name: 'RandomData', kind: 'fill', length: 'ulRandomLen' })),
  row('C_GetFunctionStatus', hSession),
  row('C_CancelFunction', hSession),
  row(
    'C_WaitForSlotEvent',
    ulong('flags', 'CK_FLAGS'),
    { name: 'pSlot', kind: 'outSlot' },
    pointer('pReserved'),
  ),
] as const satisfies readonly CallRow[];

export type Calls = (typeof calls)[number];
export type CallName = Calls['name'];

export const numberOfCall = (name: CallName): number => calls.findIndex((call) => call.name === name);
