import { connect } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { errorStatus } from '../../src/control-plane/service/errors.js';
import { operations } from '../../src/control-plane/service/operations.js';
import { ApiServer } from '../support/api-server.js';
import { TestedControlPlane } from '../support/control-plane.js';

/** How long the fuzzing goes on: `FUZZ_RUNS=10000` for a long one. */
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 150);

describe('whatever arrives at the HTTP face', () => {
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

  const operation = fc.constantFrom(...Object.keys(operations));
  const member = fc.constantFrom(
    ...new Set(
      Object.values(operations).flatMap(({ input }) => [
        ...Object.keys(input.required),
        ...Object.keys(input.optional),
      ]),
    ),
    '__proto__',
    'constructor',
  );
  const value = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
    fc.dictionary(member, fc.jsonValue()),
    fc.constantFrom('cluster-igklspoyj5v', 'backup-ro5c4er4aac', 'us-east-1', 'hsm2m.medium', 'FIPS'),
    fc.array(fc.constantFrom('subnet-0e358c43', { Key: 'k', Value: 'v' })),
  );

  it('is answered, with an error that there is, and never as a fault of ours', async () => {
    await fc.assert(
      fc.asyncProperty(operation, fc.dictionary(member, value), async (target, body) => {
        const { status, body: answer } = await server.send({ target, body });
        if (status === 200) return;
        const type = String(answer['__type']);
        expect(type).not.to.equal('CloudHsmInternalFailureException');
        expect(Object.entries(errorStatus)).to.deep.include([type, status]);
        expect(answer['Message']).to.be.a('string');
      }),
      { numRuns },
    );
  });

  it('may be any bytes for a body', async () => {
    const bytes = fc.uint8Array({ maxLength: 2000 }).map((array) => Buffer.from(array));
    const nested = fc.nat(5000).map((depth) => Buffer.from('['.repeat(depth) + ']'.repeat(depth)));
    await fc.assert(
      fc.asyncProperty(operation, fc.oneof(bytes, nested), async (target, body) => {
        const { status } = await server.send({ target, body });
        expect(status).to.be.oneOf([200, 400]);
      }),
      { numRuns },
    );
  });

  it('may have any headers', async () => {
    // What node:http lets a client send.
    const text = fc.string({ maxLength: 200 }).map((chars) => chars.replace(/[^\x20-\x7e]/g, ''));
    const name = fc.constantFrom('authorization', 'x-amz-target', 'content-type', 'x-amz-date', 'x-any');
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, text), async (headers) => {
        const { status } = await server.send({ target: 'DescribeClusters', headers });
        expect(status).to.be.oneOf([200, 400, 403, 404]);
      }),
      { numRuns },
    );
  });

  it('may be no HTTP at all, or end in the middle, and the next one is answered', async () => {
    const begin = 'POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: BaldrApiService.DescribeClusters\r\n';
    const noise = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
    await fc.assert(
      fc.asyncProperty(fc.boolean(), noise, async (hasBegun, bytes) => {
        await new Promise<void>((resolve) => {
          const socket = connect(server.port, '127.0.0.1', () => {
            socket.end(Buffer.concat([Buffer.from(hasBegun ? begin : ''), bytes]));
          });
          socket.on('error', () => undefined);
          socket.on('close', () => resolve());
          socket.resume();
        });
      }),
      { numRuns },
    );
    expect((await server.send({ target: 'DescribeClusters' })).status).to.equal(200);
  });
});
