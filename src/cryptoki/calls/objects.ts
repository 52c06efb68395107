import { andThen, type Eventually } from '../../base/eventually.js';
import { nestedTemplateOf } from '../../objects/nested-template.js';
import type { ReadResult } from '../../objects/reading.js';
import { attributeName, CKA, isTemplateAttribute } from '../../pkcs11/attributes.js';
import { type CkrName, ckr } from '../../pkcs11/ckr.js';
import { attribute, type Template, templateBool } from '../../pkcs11/template.js';
import { type AttributeAnswer, type AttributeQuery, ROOM_QUERY } from '../../wire/arguments.js';
import { FailureWithOutput } from '../answer.js';
import type { Handlers } from '../handler.js';
import type { Session } from '../session.js';

/** A token object cannot be made or removed through a read-only session. */
export function requireWritable(session: Session, token: boolean): void {
  if (token && !session.readWrite)
    throw ckr('CKR_SESSION_READ_ONLY', 'a read-only session changes no token objects');
}

/** Makes an object through `make`; a session object will end with the session. */
export function create(
  session: Session,
  template: Template,
  make: () => Eventually<number>,
): Eventually<number> {
  session.requireLogin();
  const token = templateBool(template, CKA.CKA_TOKEN, false);
  requireWritable(session, token);
  return andThen(make(), (handle) => (token ? handle : andThen(session.adopt(handle), () => handle)));
}

interface AnswerWithCode {
  readonly answer: AttributeAnswer;
  readonly code?: CkrName;
}

const unavailable: AttributeAnswer = { lengthBytes: -1 };

/** One attribute of C_GetAttributeValue's answer, and the code it contributes (v2.40 base, 5.7). */
function answerOne(query: AttributeQuery, result: ReadResult): AnswerWithCode {
  if (result === 'sensitive') return { answer: unavailable, code: 'CKR_ATTRIBUTE_SENSITIVE' };
  if (result === 'unavailable') return { answer: unavailable, code: 'CKR_ATTRIBUTE_TYPE_INVALID' };
  if (isTemplateAttribute(query.type)) return answerTemplate(query, nestedTemplateOf(result));
  if (query.room === ROOM_QUERY) return { answer: { lengthBytes: result.length } };
  if (query.room < result.length) return { answer: unavailable, code: 'CKR_BUFFER_TOO_SMALL' };
  return { answer: { lengthBytes: result.length, value: result } };
}

/** sizeof(CK_ATTRIBUTE) of an LP64 machine. */
const CK_ATTRIBUTE_BYTES = 24;

/** A template's length is that of an array of CK_ATTRIBUTE. Of such an array each entry gets its type, and its value or the
 * length of it (v2.40 base, C_GetAttributeValue). Only an entry that has its type already gets the value: a program that
 * has not initialised its array, as it should, has pointers in it that nobody may follow. */
function answerTemplate({ room, entries: asked = [] }: AttributeQuery, template: Template): AnswerWithCode {
  const lengthBytes = template.length * CK_ATTRIBUTE_BYTES;
  if (room === ROOM_QUERY) return { answer: { lengthBytes } };
  if (asked.length < template.length) return { answer: unavailable, code: 'CKR_BUFFER_TOO_SMALL' };
  const filled = template.map(({ type, value }, at) => ({
    type,
    ...answerOne(asked[at]!.type === type ? asked[at]! : { type, room: ROOM_QUERY }, value),
  }));
  const entries = filled.map(({ type, answer }) => ({ ...answer, type }));
  const code = filled.find((entry) => entry.code !== undefined)?.code;
  return { answer: { lengthBytes, entries }, ...(code && { code }) };
}

/** Object management (v2.40 base, 5.7). CloudHSM has no C_GetObjectSize, and C_CopyObject only in the compatible profile. */
export const objectCalls = {
  C_CreateObject: (session, { pTemplate }) =>
    andThen(
      create(session, pTemplate, () => session.client.createObject(pTemplate, 'C_CreateObject')),
      (phObject) => ({ phObject }),
    ),

  // Only what the copy's template says of CKA_TOKEN decides where it lives; without it, the original does.
  C_CopyObject: (session, { hObject, pTemplate }) => {
    // A function that is not there looks at nothing: the HSM, which asks about the copy itself, comes too late to say so.
    session.token.gate.allow('copy-object', undefined, `object ${hObject}`);
    return andThen(session.client.locate(hObject), (original) => {
      const token = templateBool(pTemplate, CKA.CKA_TOKEN, original.token);
      const says = pTemplate.some(({ type }) => type === CKA.CKA_TOKEN);
      const placed = says ? pTemplate : [...pTemplate, attribute(CKA.CKA_TOKEN, token)];
      return andThen(
        create(session, placed, () => session.client.copyObject(hObject, placed, 'C_CopyObject')),
        (phNewObject) => ({ phNewObject }),
      );
    });
  },

  C_SetAttributeValue: (session, { hObject, pTemplate }) =>
    session.client.setAttributes(hObject, pTemplate, 'C_SetAttributeValue', (token) =>
      requireWritable(session, token),
    ),

  C_DestroyObject: (session, { hObject }) => {
    session.requireLogin();
    const destroyed = session.client.destroyObject(hObject, (token) => requireWritable(session, token));
    return andThen(destroyed, () => session.disown(hObject));
  },

  C_GetAttributeValue: (session, { hObject, pTemplate }) => {
    const request = { handle: hObject, types: pTemplate.map((query) => query.type) };
    return andThen(session.client.send('getAttributes', request, 'C_GetAttributeValue'), (results) => {
      let failed: { readonly code: CkrName; readonly type: number } | undefined;
      const answers = pTemplate.map((query, at) => {
        const { answer, code } = answerOne(query, results[at]!);
        if (code !== undefined) failed ??= { code, type: query.type };
        return answer;
      });
      const output = { pTemplate: answers };
      if (failed === undefined) return output;
      throw new FailureWithOutput(failed.code, `${attributeName(failed.type)} of object ${hObject}`, output);
    });
  },

  // Before login nothing is visible, and asking is no error: programs look for certificates before they log in.
  C_FindObjectsInit: (session, { pTemplate }, { shared }) => {
    session.search.requireIdle();
    const found = session.token.loggedIn ? session.client.findObjects(pTemplate, 'C_FindObjectsInit') : [];
    return andThen(found, (handles) => {
      session.search.begin(handles);
      shared?.searched(session);
    });
  },

  // A NULL array asks how many there are, at most `max`, and takes none of them (reference section 6).
  C_FindObjects: ({ search }, { phObject: { room, max } }) => {
    search.requireUnderWay();
    const length = search.left(max);
    return { phObject: room === ROOM_QUERY ? { length } : search.take(length) };
  },

  C_FindObjectsFinal: ({ search }) => {
    search.requireUnderWay();
    search.end();
  },
} satisfies Handlers;
