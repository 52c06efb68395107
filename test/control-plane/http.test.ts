import { connect } from 'node:net';
import { expect } from 'chai';
import { signatureOf } from '../../src/control-plane/http/signature.js';
import { ApiServer, authorization, type RawAnswer } from '../support/api-server.js';
import { TestedControlPlane } from '../support/control-plane.js';

// Section 2 of the reference on the control plane.
describe('the HTTP face', () => {
  let api: TestedControlPlane;
  let server: ApiServer;

  before(async () => {
    api = await new TestedControlPlane().open();
    server = await ApiServer.start(api.controlPlane, {}, { '/root.crt': 'a root' });
  });
  after(async () => {
    await server.close();
    await api.controlPlane.close();
  });

  const codeOf = ({ status, body }: RawAnswer): string => `${status} ${body['__type']}`;

  it('answers in the form of the protocol', async () => {
    const { status, headers, text } = await server.send({ target: 'DescribeClusters' });
    expect(status).to.equal(200);
    expect(headers['content-type']).to.equal('application/x-amz-json-1.1');
    expect(headers['x-amzn-requestid']).to.match(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(text).to.equal('{"Clusters":[]}');
  });

  it('answers errors with their type and a message', async () => {
    const { status, headers, body } = await server.send({
      target: 'DeleteCluster',
      body: { ClusterId: 'cluster-aaaaaaaaaaa' },
    });
    expect(status).to.equal(400);
    expect(headers['content-type']).to.equal('application/x-amz-json-1.1');
    expect(body).to.deep.equal({
      __type: 'CloudHsmResourceNotFoundException',
      Message: 'Cluster cluster-aaaaaaaaaaa was not found.',
    });
  });

  it('answers times as numbers of seconds', async () => {
    const { body } = await server.send({
      target: 'CreateCluster',
      body: { HsmType: 'hsm2m.medium', Mode: 'FIPS', SubnetIds: ['subnet-0e358c43'] },
    });
    const { CreateTimestamp } = body['Cluster'] as Record<string, unknown>;
    expect(CreateTimestamp).to.equal(api.time.nowMs() / 1000);
  });

  it('knows no other operations, methods and paths', async () => {
    const unknown = '404 UnknownOperationException';
    expect(codeOf(await server.send({ target: 'CreateBackup' }))).to.equal(unknown);
    expect(codeOf(await server.send({ target: 'toString' }))).to.equal(unknown);
    expect(codeOf(await server.send({}))).to.equal(unknown);
    expect(codeOf(await server.send({ target: 'DescribeClusters', method: 'PUT' }))).to.equal(unknown);
    expect(codeOf(await server.send({ target: 'DescribeClusters', path: '/x' }))).to.equal(unknown);
    const target = (text: string) => ({ headers: { 'x-amz-target': text } });
    for (const text of [
      'CloudHsmFrontendService.ListHsms',
      'BaldrApiService.DescribeClusters.x',
      'BaldrApiService',
    ])
      expect(codeOf(await server.send(target(text))), text).to.equal(unknown);
  });

  // RFC 9112, section 3.2.2: "a server MUST accept the absolute-form in requests".
  it('takes targets in absolute form, as clients that know of proxies send them', async () => {
    const absolute = (path: string) => `${server.endpoint}${path}`;
    for (const path of [absolute('/'), absolute(''), 'HTTP://cloudhsmv2.us-east-1.amazonaws.com/'])
      expect((await server.send({ target: 'DescribeClusters', path })).status, path).to.equal(200);
    expect((await server.send({ method: 'GET', path: absolute('/root.crt') })).text).to.equal('a root');
    for (const path of [absolute('/x'), absolute('/?x'), 'ftp://127.0.0.1/', 'http:///', 'http://'])
      expect((await server.send({ target: 'DescribeClusters', path })).status, path).to.equal(404);
  });

  it('serves the roots that users pin', async () => {
    expect((await server.send({ method: 'GET', path: '/root.crt' })).text).to.equal('a root');
    expect(await server.send({ method: 'HEAD', path: '/root.crt' })).to.include({ status: 200, text: '' });
  });

  it('refuses bodies that are no JSON object in UTF-8, and other content types', async () => {
    const target = 'DescribeClusters';
    for (const body of ['{', '[]', '7', 'null', '"x"', Buffer.from([0x7b, 0xff, 0x7d])])
      expect(codeOf(await server.send({ target, body }))).to.equal('400 SerializationException');
    const headers = { 'content-type': 'text/plain' };
    expect(codeOf(await server.send({ target, headers }))).to.equal('400 MalformedHttpRequestException');
    expect((await server.send({ target, body: '' })).status).to.equal(200);
  });

  it('does not take a signature that it cannot read for one of the default region', async () => {
    const target = 'DescribeClusters';
    expect((await server.send({ target })).status).to.equal(200);
    expect((await server.send({ target, headers: { authorization: authorization() } })).status).to.equal(200);
    const unreadable = [
      'Bearer token',
      authorization('us-west-2').replace(/0{64}$/, '00'),
      authorization('us-west-2').replace('HMAC-SHA256', 'ECDSA-P256-SHA256'),
      '',
    ];
    for (const value of unreadable)
      expect(codeOf(await server.send({ target, headers: { authorization: value } })), value).to.equal(
        '403 IncompleteSignatureException',
      );
  });

  it('reads no body and no headers without end', async () => {
    const target = 'DescribeClusters';
    const large = await server.send({ target, body: ' '.repeat(300_000) });
    expect(codeOf(large)).to.equal('413 RequestEntityTooLargeException');
    expect((await server.send({ target, headers: { 'x-long': 'x'.repeat(20_000) } })).status).to.equal(431);
    const unannounced = await answerTo(
      `POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: BaldrApiService.${target}\r\n` +
        'content-type: application/x-amz-json-1.1\r\ntransfer-encoding: chunked\r\n\r\n' +
        `10000\r\n${' '.repeat(0x10000)}\r\n`.repeat(5),
    );
    expect(unannounced).to.match(/^HTTP\/1.1 413 /);
  });

  it('answers what is no HTTP, and goes on', async () => {
    expect(await answerTo('nonsense\r\n\r\n')).to.match(/^HTTP\/1.1 400 .*MalformedHttpRequestException/s);
    expect((await server.send({ target: 'DescribeClusters' })).status).to.equal(200);
  });

  function answerTo(bytes: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => socket.write(bytes));
      let text = '';
      socket.on('data', (part) => {
        text += part;
      });
      // The server may close before everything is written: what it has said counts.
      socket.on('error', () => resolve(text));
      socket.on('close', () => resolve(text));
    });
  }

  it('answers a thousand DescribeClusters at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => server.send({ target: 'DescribeClusters' })),
    );
    expect(answers.map(({ status }) => status)).to.deep.equal(Array(1000).fill(200));
  });
});

describe('signatures', () => {
  const secretAccessKey = 'a secret';
  const session = { sessionToken: 'a session', expiresMs: 0 };
  let api: TestedControlPlane;
  let server: ApiServer;

  before(async () => {
    api = await new TestedControlPlane().open();
    server = await ApiServer.start(api.controlPlane, {
      mode: 'strict',
      accessKeys: {
        AKIDONE: { secretAccessKey, account: '111111111111' },
        AKIDTWO: { secretAccessKey, account: '222222222222' },
        AKIDOLD: { secretAccessKey, account: '222222222222', ...session },
      },
    });
  });
  after(async () => {
    await server.close();
    await api.controlPlane.close();
  });

  interface Signing {
    readonly accessKeyId?: string;
    readonly secret?: string;
    readonly service?: string;
    readonly region?: string;
    readonly atMs?: number;
    readonly day?: string;
    readonly signedHeaders?: readonly string[];
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
    /** What is sent in place of what was signed. */
    readonly sentBody?: unknown;
    readonly target?: string;
  }

  async function answer(signing: Signing = {}): Promise<string> {
    const target = signing.target ?? 'DescribeClusters';
    const atMs = signing.atMs ?? api.time.nowMs();
    const date = new Date(atMs).toISOString().replace(/[-:]|\.\d+/g, '');
    const headers: Record<string, string> = {
      host: `127.0.0.1:${server.port}`,
      'x-amz-date': date,
      ...signing.headers,
    };
    const claim = {
      accessKeyId: signing.accessKeyId ?? 'AKIDONE',
      date: signing.day ?? date.slice(0, 8),
      region: signing.region ?? 'us-east-1',
      service: signing.service ?? 'cloudhsm',
      signedHeaders: signing.signedHeaders ?? ['host', 'x-amz-date', 'x-amz-target'],
      signature: '',
    };
    const signed = { ...headers, 'x-amz-target': 'BaldrApiService.DescribeClusters' };
    const body = JSON.stringify(signing.body ?? {});
    const signature = signatureOf(claim, signing.secret ?? secretAccessKey, signed, Buffer.from(body));
    const scope = `${claim.accessKeyId}/${claim.date}/${claim.region}/${claim.service}/aws4_request`;
    const value = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${claim.signedHeaders.join(';')}, Signature=${signature}`;
    const sent = await server.send({
      target,
      body: signing.sentBody ?? body,
      headers: { ...headers, authorization: value },
    });
    return `${sent.status} ${sent.body['__type'] ?? 'answered'}`;
  }

  it('of the listed keys are accepted', async () => {
    expect(await answer()).to.equal('200 answered');
  });

  it('are those of AWS’s test suite', () => {
    const claim = {
      accessKeyId: 'AKIDEXAMPLE',
      date: '20150830',
      region: 'us-east-1',
      service: 'service',
      signedHeaders: ['host', 'x-amz-date'],
      signature: '',
    };
    const headers = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' };
    // Signature Version 4 test suite, case post-vanilla.
    expect(signatureOf(claim, 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', headers, Buffer.alloc(0))).to.equal(
      '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
    );
  });

  it('that are missing, cut short or of nobody are refused', async () => {
    const { body } = await server.send({
      target: 'DescribeClusters',
      headers: { authorization: 'AWS4-HMAC' },
    });
    expect(body['__type']).to.equal('IncompleteSignatureException');
    expect(await answer({ accessKeyId: 'AKIDNONE' })).to.equal('403 UnrecognizedClientException');
    expect(await answer({ accessKeyId: 'constructor' })).to.equal('403 UnrecognizedClientException');
  });

  it('of another secret, body, operation, service or time are refused', async () => {
    const refused = '403 InvalidSignatureException';
    expect(await answer({ secret: 'another' })).to.equal(refused);
    expect(await answer({ sentBody: { MaxResults: 1 } })).to.equal(refused);
    expect(await answer({ target: 'DescribeBackups' })).to.equal(refused);
    expect(await answer({ service: 'cloudhsmv2' })).to.equal(refused);
    expect(await answer({ day: '20200101' })).to.equal(refused);
    expect(await answer({ atMs: api.time.nowMs() - 301_000 })).to.equal(refused);
    expect(await answer({ atMs: api.time.nowMs() + 301_000 })).to.equal(refused);
    expect(await answer({ signedHeaders: ['x-amz-date'] })).to.equal(refused);
  });

  it('of sessions need their token, as long as it lasts', async () => {
    expect(await answer({ accessKeyId: 'AKIDOLD' })).to.equal('403 UnrecognizedClientException');
    const headers = { 'x-amz-security-token': session.sessionToken };
    expect(await answer({ accessKeyId: 'AKIDOLD', headers })).to.equal('403 ExpiredTokenException');
  });

  it('for what is no region are refused', async () => {
    expect(await answer({ region: 'nowhere' })).to.equal('403 InvalidSignatureException');
  });
});
