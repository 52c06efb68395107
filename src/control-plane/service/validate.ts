import { invalidRequest, ServiceError } from './errors.js';
import { type Input, type OperationName, operations } from './operations.js';
import type { AnyStructure, Shape, Text } from './shape.js';

/*
 * Checks a request against its row. Clients send patterns and upper bounds unchecked (reference section 2.3), so all of it
 * is work of the service. Two kinds of answers, as services with this protocol give them: a value of the wrong JSON type
 * is a SerializationException, a value that breaks a constraint is listed, with the others that do, in one sentence.
 */

/** What is quoted of a value in an answer. */
const QUOTED_CHARACTERS = 256;

const patterns = new Map<string, RegExp>();

function anchored(pattern: string): RegExp {
  let known = patterns.get(pattern);
  if (known === undefined) {
    known = new RegExp(`^(?:${pattern})$`, 'u');
    patterns.set(pattern, known);
  }
  return known;
}

interface Complaint {
  readonly path: string;
  readonly value: unknown;
  readonly constraint: string;
}

/** `ClusterId` is named `clusterId`, as services with this protocol name members in their answers. */
const pathOf = (parent: string, member: string): string => {
  const name = member.charAt(0).toLowerCase() + member.slice(1);
  return parent === '' ? name : `${parent}.${name}`;
};

function wrongType(path: string, wanted: string): ServiceError {
  return new ServiceError('SerializationException', `${path || 'The request'} must be ${wanted}`);
}

function checkText(shape: Text, value: string, path: string, complaints: Complaint[]): void {
  const complain = (constraint: string): number => complaints.push({ path, value, constraint });
  // Lengths of this protocol count characters, not UTF-16 units.
  const length = [...value].length;
  const { minLength = 0, maxLength = Number.MAX_SAFE_INTEGER, pattern, number } = shape;
  if (length < minLength) complain(`Member must have length greater than or equal to ${minLength}`);
  if (length > maxLength) complain(`Member must have length less than or equal to ${maxLength}`);
  // A pattern is not run over what is too long anyhow.
  else if (pattern !== undefined && !anchored(pattern).test(value))
    complain(`Member must satisfy regular expression pattern: ${pattern}`);
  else if (number !== undefined && (Number(value) < number.min || Number(value) > number.max))
    complain(`Member must be between ${number.min} and ${number.max}`);
}

function checkSize(size: number, min: number, max: number, add: (constraint: string) => void): void {
  if (size < min) add(`Member must have length greater than or equal to ${min}`);
  if (size > max) add(`Member must have length less than or equal to ${max}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkStructure(shape: AnyStructure, value: unknown, path: string, complaints: Complaint[]): unknown {
  if (!isObject(value)) throw wrongType(path, 'an object');
  const checked: Record<string, unknown> = {};
  for (const [members, required] of [
    [shape.required, true],
    [shape.optional, false],
  ] as const) {
    for (const [name, member] of Object.entries(members)) {
      // null is an absent member, as clients of this protocol may send it.
      const given = Object.hasOwn(value, name) ? (value[name] ?? undefined) : undefined;
      const at = pathOf(path, name);
      if (given !== undefined) checked[name] = check(member, given, at, complaints);
      else if (required) complaints.push({ path: at, value: null, constraint: 'Member must not be null' });
    }
  }
  return checked;
}

/** A copy of `value` with the members that the shape has; what breaks a constraint goes to `complaints`. */
function check(shape: Shape, value: unknown, path: string, complaints: Complaint[]): unknown {
  const complain = (constraint: string): number => complaints.push({ path, value, constraint });
  switch (shape.kind) {
    case 'text':
      if (typeof value !== 'string') throw wrongType(path, 'a string');
      checkText(shape, value, path, complaints);
      return value;
    case 'choice':
      if (typeof value !== 'string') throw wrongType(path, 'a string');
      if (!shape.values.includes(value))
        complain(`Member must satisfy enum value set: [${shape.values.join(', ')}]`);
      return value;
    case 'integer':
      if (!Number.isSafeInteger(value)) throw wrongType(path, 'an integer');
      if ((value as number) < shape.min)
        complain(`Member must have value greater than or equal to ${shape.min}`);
      if ((value as number) > shape.max)
        complain(`Member must have value less than or equal to ${shape.max}`);
      return value;
    case 'flag':
      if (typeof value !== 'boolean') throw wrongType(path, 'true or false');
      return value;
    case 'time':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw wrongType(path, 'a number');
      return value;
    case 'list': {
      if (!Array.isArray(value)) throw wrongType(path, 'a list');
      checkSize(value.length, shape.min, shape.max, complain);
      return value.map((entry, at) => check(shape.of, entry, `${path}.${at + 1}.member`, complaints));
    }
    case 'map': {
      if (!isObject(value)) throw wrongType(path, 'an object');
      const entries = Object.entries(value);
      checkSize(entries.length, 0, shape.max, complain);
      return Object.fromEntries(
        entries.map(([key, entry]) => {
          checkText(shape.key, key, `${path}.key`, complaints);
          return [key, check(shape.value, entry, `${path}.${key.slice(0, 64)}`, complaints)];
        }),
      );
    }
    case 'structure':
      return checkStructure(shape, value, path, complaints);
  }
}

function quoted(value: unknown): string {
  if (value === null) return 'null';
  const words = typeof value === 'string' ? value : JSON.stringify(value);
  return `'${words.length > QUOTED_CHARACTERS ? `${words.slice(0, QUOTED_CHARACTERS)}…` : words}'`;
}

/** At most so many broken constraints are told at once. */
const TOLD_COMPLAINTS = 10;

function refusal(complaints: readonly Complaint[]): ServiceError {
  const told = complaints
    .slice(0, TOLD_COMPLAINTS)
    .map(
      ({ path, value, constraint }) =>
        `Value ${quoted(value)} at '${path}' failed to satisfy constraint: ${constraint}`,
    );
  const errors = complaints.length === 1 ? 'error' : 'errors';
  return invalidRequest(`${complaints.length} validation ${errors} detected: ${told.join('; ')}`);
}

/** The value as its shape says, without members the shape does not have. Throws ServiceError. */
export function validate(shape: Shape, value: unknown): unknown {
  const complaints: Complaint[] = [];
  const checked = check(shape, value, '', complaints);
  if (complaints.length > 0) throw refusal(complaints);
  return checked;
}

/** A request's members. Throws SerializationException or CloudHsmInvalidRequestException. */
export function validateInput<N extends OperationName>(name: N, body: unknown): Input<N> {
  return validate(operations[name].input, body) as Input<N>;
}
