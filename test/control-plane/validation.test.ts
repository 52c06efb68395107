import { expect } from 'chai';
import { type OperationName, operations } from '../../src/control-plane/service/operations.js';
import type { AnyStructure, Shape, Text } from '../../src/control-plane/service/shape.js';
import { ApiServer } from '../support/api-server.js';
import { TestedControlPlane } from '../support/control-plane.js';

/** A value that a shape allows, with nothing in it that may be left out. */
function sampleOf(shape: Shape): unknown {
  switch (shape.kind) {
    case 'text':
      return shape.sample;
    case 'choice':
      return shape.values[0];
    case 'integer':
      return shape.min;
    case 'flag':
      return true;
    case 'time':
      return 0;
    case 'list':
      return [sampleOf(shape.of)];
    case 'map':
      return { [shape.key.sample]: sampleOf(shape.value) };
    case 'structure':
      return Object.fromEntries(
        Object.entries(shape.required).map(([name, member]) => [name, sampleOf(member)]),
      );
  }
}

interface Wrong {
  readonly how: string;
  readonly value: unknown;
  readonly code: 'CloudHsmInvalidRequestException' | 'SerializationException';
}

const breaks = (how: string, value: unknown): Wrong => ({
  how,
  value,
  code: 'CloudHsmInvalidRequestException',
});
const mistyped = (how: string, value: unknown): Wrong => ({ how, value, code: 'SerializationException' });

function wrongTexts({ sample, pattern, minLength = 0, maxLength, number }: Text): Wrong[] {
  const wrong = [mistyped('a number', 7), mistyped('a list', [sample])];
  if (minLength > 0) wrong.push(breaks('too short', sample.repeat(9).slice(0, minLength - 1)));
  if (maxLength !== undefined)
    wrong.push(breaks('too long', sample.repeat(maxLength).slice(0, maxLength + 1)));
  if (pattern === '.*') wrong.push(breaks('of two lines', `${sample}\n${sample}`));
  else if (pattern !== undefined) {
    wrong.push(
      breaks('with something before it', `~${sample}`),
      breaks('with something after it', `${sample}~`),
    );
    // White space is legal in PEM, and some of it in tags.
    if (!pattern.includes('\\s')) wrong.push(breaks('with a line end', `${sample}\n`));
    // Identifiers are either there or not.
    if (!pattern.endsWith('*')) wrong.push(breaks('empty', ''));
  }
  if (number !== undefined)
    wrong.push(breaks('too low', String(number.min - 1)), breaks('too high', String(number.max + 1)));
  return wrong;
}

/** Values that break one constraint of a shape each. */
function wrongValues(shape: Shape): Wrong[] {
  switch (shape.kind) {
    case 'text':
      return wrongTexts(shape);
    case 'choice':
      return [breaks('none of the choices', 'NONE'), breaks('in lower case', shape.values[0]!.toLowerCase())];
    case 'integer':
      return [
        breaks('too low', shape.min - 1),
        breaks('too high', shape.max + 1),
        mistyped('text', String(shape.min)),
        mistyped('a fraction', shape.min + 0.5),
      ];
    case 'flag':
      return [mistyped('text', 'true'), mistyped('a number', 1)];
    case 'list': {
      const one = sampleOf(shape.of);
      const lengths: Wrong[] = [];
      if (shape.min > 0) lengths.push(breaks('empty', []));
      if (shape.max < 1000) lengths.push(breaks('too long', Array(shape.max + 1).fill(one)));
      const entries = wrongValues(shape.of).map((wrong) => ({ ...wrong, value: [wrong.value] }));
      return [mistyped('an object', {}), ...lengths, ...entries];
    }
    case 'map': {
      const value = sampleOf(shape.value);
      const many = Object.fromEntries(Array.from({ length: shape.max + 1 }, (_, at) => [`n${at}`, value]));
      return [
        mistyped('a list', []),
        breaks('too many', many),
        breaks('a wrong name', { 'a b': value }),
        ...wrongValues(shape.value).map((wrong) => ({
          ...wrong,
          value: { [shape.key.sample]: wrong.value },
        })),
      ];
    }
    case 'structure':
      return [mistyped('text', 'x'), ...wrongMembers(shape)];
    default:
      return [];
  }
}

function wrongMembers(shape: AnyStructure): Wrong[] {
  const whole = sampleOf(shape) as Record<string, unknown>;
  const members = Object.entries({ ...shape.required, ...shape.optional });
  return [
    ...Object.keys(shape.required).map((name) => {
      const { [name]: _, ...rest } = whole;
      return breaks(`without ${name}`, rest);
    }),
    ...members.flatMap(([name, member]) =>
      wrongValues(member).map(({ how, value, code }) => ({
        how: `${name} ${how}`,
        value: { ...whole, [name]: value },
        code,
      })),
    ),
  ];
}

// Generated from the rows of src/control-plane/service: section 3 of the reference, sent past any client's own checks.
describe('every constraint of every member', () => {
  let api: TestedControlPlane;
  let server: ApiServer;

  before(async () => {
    api = await new TestedControlPlane().open();
    server = await ApiServer.start(api.controlPlane);
  });
  after(async () => {
    await server.close();
    await api.controlPlane.close();
  });

  for (const name of Object.keys(operations) as OperationName[]) {
    const { input } = operations[name];

    it(`${name}: what its members allow is not refused for its form`, async () => {
      const { body } = await server.send({ target: name, body: sampleOf(input) });
      expect(body['__type']).not.to.equal('SerializationException');
      expect(String(body['Message'])).not.to.contain('validation error');
    });

    it(`${name}: ${wrongMembers(input).length} ways to break it`, async () => {
      for (const { how, value, code } of wrongMembers(input)) {
        const { status, body } = await server.send({ target: name, body: value });
        expect(body['__type'], `${name} ${how}`).to.equal(code);
        expect(status).to.equal(400);
        if (code === 'CloudHsmInvalidRequestException')
          expect(body['Message'], `${name} ${how}`).to.match(/^\d+ validation errors? detected: Value /);
      }
    });
  }

  it('says which member is wrong, with its value and the constraint', async () => {
    const { body } = await server.send({ target: 'DeleteCluster', body: { ClusterId: 'cluster-1234' } });
    expect(body['Message']).to.equal(
      "1 validation error detected: Value 'cluster-1234' at 'clusterId' failed to satisfy constraint: " +
        'Member must satisfy regular expression pattern: cluster-[2-7a-zA-Z]{11,16}',
    );
  });

  it('ignores members that there are not', async () => {
    const body = { MaxResults: 3, SecurityGroupId: 'x', __proto__: { a: 1 } };
    expect((await server.send({ target: 'DescribeClusters', body })).body).to.deep.equal({ Clusters: [] });
  });
});
