import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import pino from 'pino';
import type { ClientConfig } from '../../src/base/client-config.js';
import type { Eventually } from '../../src/base/eventually.js';
import { silentLog } from '../../src/base/log.js';
import { Libraries } from '../../src/bridge/libraries.js';
import type { ClusterView } from '../../src/cluster/cluster.js';
import { parseCertificate } from '../../src/crypto/index.js';
import { Application } from '../../src/cryptoki/application.js';
import type { EngineOffer, Library } from '../../src/cryptoki/library.js';
import { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import { Token } from '../../src/cryptoki/slot.js';
import { presentedBy } from '../../src/tools/connection/identity.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
import { TestAuthority } from '../support/tls.js';

describe('the library of an application', () => {
  const client = { pid: 4711, program: 'app' };
  let folder: string;
  let clusters: ClusterView[];
  let lines: string[];
  let logFile: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lib-'));
    logFile = join(folder, 'default.log');
    clusters = [await memoryCluster({ id: 'cluster-first' }), await memoryCluster({ id: 'cluster-second' })];
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    lines = [];
  });

  const allLibraries = (offer: Partial<EngineOffer>, configFiles: readonly string[] = []): Libraries =>
    new Libraries(
      { clusters, profile: 'compatible', readiness: new ReadinessRecord(silentLog), ...offer },
      { configFiles, logFile },
      pino({ level: 'debug' }, { write: (line: string) => lines.push(line) }),
    );
  /** Of what is in the engine, they are there at once. */
  const libraries = (
    of: readonly ClusterView[] = clusters,
    configFiles?: readonly string[],
  ): { open(...words: Parameters<Libraries['open']>): Library } => {
    const all = allLibraries({ clusters: of }, configFiles);
    return { open: (...words) => all.open(...words) as Library };
  };
  const file = (config: ClientConfig, name = 'named.cfg'): string => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(config));
    return path;
  };
  const only = (...entries: ClientConfig['clusters'] & object): string => file({ clusters: entries });
  const idsOf = ({
    slots,
  }: {
    slots: readonly { index: number; cluster: ClusterView }[];
  }): [number, string][] => slots.map(({ index, cluster }) => [index, cluster.settings.id]);

  it('has a slot for every cluster of the engine where nothing is configured', () => {
    const everything = [
      [0, 'cluster-first'],
      [1, 'cluster-second'],
    ];
    expect(idsOf(libraries().open(client, undefined))).to.deep.equal(everything);
    expect(idsOf(libraries().open(client, file({ logging: {} })))).to.deep.equal(everything);
  });

  it('has a slot for every cluster of its configuration, in that order', () => {
    const second = { cluster: { cluster_id: 'cluster-second' } };
    const first = { cluster: { cluster_id: 'cluster-first' } };
    expect(idsOf(libraries().open(client, only(second)))).to.deep.equal([[0, 'cluster-second']]);
    expect(idsOf(libraries().open(client, only(second, first)))).to.deep.equal([
      [0, 'cluster-second'],
      [1, 'cluster-first'],
    ]);
  });

  it('needs no cluster_id where there is one cluster', () => {
    const [first] = clusters;
    expect(idsOf(libraries([first!]).open(client, only({ cluster: {} })))).to.deep.equal([
      [0, 'cluster-first'],
    ]);
    expect(() => libraries().open(client, only({ cluster: {} }))).to.throw(
      'clusters[0].cluster.cluster_id: is missing; the engine has cluster-first, cluster-second',
    );
  });

  it('is refused with no cluster, one that the engine does not have, or one twice', () => {
    expect(() => libraries().open(client, only())).to.throw('clusters: there is none');
    const stranger = { cluster: { cluster_id: 'cluster-third' } };
    expect(() => libraries().open(client, only(stranger))).to.throw('"cluster-third" is not here');
    const first = { cluster: { cluster_id: 'cluster-first' } };
    expect(() => libraries().open(client, only(first, first))).to.throw('the same cluster');
  });

  it('is refused where HSMs enforce mutual TLS, unless its configuration names a certificate of theirs', async () => {
    const authority = await TestAuthority.make('mTLS root');
    const { certificate, privateKey } = await authority.identity('client');
    const cluster = await memoryCluster({ id: 'cluster-mutual' });
    const presented = [parseCertificate(certificate).der];
    for (const hsm of cluster.hsms) {
      await hsm.mutualTls.register(authority.authority.trustAnchor, async () => undefined);
      const admin = hsm.connect({ presented });
      await admin.send('login', { name: 'admin', role: 'CO', password: PASSWORD });
      await admin.send('setMtlsEnforcement', { level: 'cluster' });
    }
    const all = allLibraries({ clusters: [cluster], presentedBy: (_file, entry) => presentedBy(entry) });
    const pem = (name: string, contents: string): string => {
      writeFileSync(join(folder, name), contents);
      return join(folder, name);
    };
    const pair = {
      client_cert_hsm_tls_file: pem('mtls.crt', certificate),
      client_key_hsm_tls_file: pem('mtls.key', privateKey),
    };
    expect(() => all.open(client, undefined)).to.throw('enforce mutual TLS');
    expect(() => all.open(client, only({ cluster: {} }))).to.throw('enforce mutual TLS');
    const other = {
      ...pair,
      client_key_hsm_tls_file: pem('other.key', (await authority.identity('client')).privateKey),
    };
    expect(() => all.open(client, only({ cluster: other }))).to.throw('is not the private key of');
    const library = all.open(client, only({ cluster: pair })) as Library;
    const [slot] = library.slots;
    const { client: hsms } = new Token(slot!, () => undefined);
    await hsms.login('crypto_user', PASSWORD);
    expect(await hsms.send('generateRandom', { lengthBytes: 8 })).to.have.length(8);
    hsms.close();
  });

  describe("with clusters that are not the engine's", () => {
    const servers = [{ hostname: '127.9.9.10' }];
    const own = { cluster: { cluster_id: 'cluster-first' } };
    const elsewhere = { cluster: { cluster_id: 'cluster-elsewhere', servers } };
    let asked: (string | undefined)[];
    let released: number;

    /** An engine from which one can get to clusters of these ids, in turn. */
    const reaching = (...ids: (string | Error)[]): Libraries => {
      asked = [];
      released = 0;
      const left = [...ids];
      return allLibraries({
        clusters: clusters.slice(0, 1),
        addressesOf: () => ['127.1.1.10', '127.1.1.11'],
        reach: async (_file, { cluster_id }) => {
          asked.push(cluster_id);
          const id = left.shift()!;
          if (typeof id !== 'string') throw id;
          return {
            cluster: await memoryCluster({ id }),
            release: () => {
              released++;
            },
          };
        },
      });
    };
    const refusal = async (opening: () => Eventually<Library>): Promise<string> => {
      try {
        await opening();
      } catch (error) {
        return String(error);
      }
      return 'nothing';
    };

    it('has a slot for each, in the order of its configuration, and gives them up with the application', async () => {
      const library = await reaching('cluster-elsewhere').open(client, only(elsewhere, own));
      expect(idsOf(library)).to.deep.equal([
        [0, 'cluster-elsewhere'],
        [1, 'cluster-first'],
      ]);
      expect(asked).to.deep.equal(['cluster-elsewhere']);
      const application = new Application(client, library);
      expect(released).to.equal(0);
      application.close();
      application.close();
      expect(released).to.equal(1);
    });

    it('finds out by their HSMs which they are where no id is given, and that one of them is its own', async () => {
      const nameless = { cluster: { servers } };
      const library = await reaching('cluster-elsewhere', 'cluster-first').open(
        client,
        only(nameless, nameless),
      );
      expect(idsOf(library).map(([, id]) => id)).to.deep.equal(['cluster-elsewhere', 'cluster-first']);
      expect(library.slots[1]!.cluster).to.equal(clusters[0]);
    });

    it("goes nowhere for the only entry of a file that names no id, and has CloudHSM's addresses or the engine's own", async () => {
      for (const hostname of ['10.0.0.11', '127.1.1.10']) {
        const library = await reaching().open(client, only({ cluster: { servers: [{ hostname }] } }));
        expect(idsOf(library)).to.deep.equal([[0, 'cluster-first']]);
        expect(asked).to.deep.equal([]);
      }
    });

    it('goes to another cluster of this machine, whose addresses the only entry has', async () => {
      const library = await reaching('cluster-elsewhere').open(client, only({ cluster: { servers } }));
      expect(idsOf(library)).to.deep.equal([[0, 'cluster-elsewhere']]);
    });

    it('is refused where one of them is another, is there twice, or cannot be reached, and leaves none open', async () => {
      expect(await refusal(() => reaching('cluster-other').open(client, only(own, elsewhere)))).to.include(
        'clusters[1].cluster.servers: they are HSMs of cluster-other, not of cluster-elsewhere',
      );
      expect(released).to.equal(1);
      const nameless = { cluster: { servers } };
      const twice = () => reaching('cluster-a', 'cluster-a').open(client, only(nameless, nameless));
      expect(await refusal(twice)).to.include('the same cluster');
      expect(released).to.equal(2);
      const lost = () =>
        reaching('cluster-elsewhere', new Error('no HSM answers')).open(client, only(elsewhere, nameless));
      expect(await refusal(lost)).to.include('clusters[1]: no HSM answers');
      expect(released).to.equal(1);
    });
  });

  it('does not connect to HSMs that are switched off, and is refused where none is left', () => {
    const [first] = clusters;
    const server = (hostname: string, enable: boolean) => ({ hostname, enable });
    const of = (...servers: object[]) => only({ cluster: { servers: servers as never } });
    const { slots } = libraries([first!]).open(client, of(server('hsm-1', false), server('hsm-2', true)));
    expect(first!.hsms.map((hsm) => slots[0]!.isDisabled!(hsm))).to.deep.equal([true, false]);
    const [byAddress] = libraries([first!]).open(
      client,
      of(server('10.0.0.9', false), server('a', true)),
    ).slots;
    const at = (host: string) => byAddress!.isDisabled!({ settings: { id: 'hsm-3', host, port: 2223 } });
    expect([at('10.0.0.9'), at('10.0.0.10')]).to.deep.equal([true, false]);
    for (const servers of [[server('10.0.0.1', false)], [server('hsm-1', false), server('hsm-2', false)]]) {
      expect(() => libraries([first!]).open(client, of(...servers))).to.throw('no server is enabled');
    }
  });

  it('takes the file that the application names, else the first of the places that has one', () => {
    const ids = (named: string | undefined, ...places: string[]) =>
      idsOf(libraries(clusters, places).open(client, named)).map(([, id]) => id);
    const first = file({ clusters: [{ cluster: { cluster_id: 'cluster-first' } }] }, 'first.cfg');
    const second = file({ clusters: [{ cluster: { cluster_id: 'cluster-second' } }] }, 'second.cfg');
    expect(ids(first, second)).to.deep.equal(['cluster-first']);
    expect(ids(undefined, join(folder, 'nowhere'), second, first)).to.deep.equal(['cluster-second']);
  });

  it('is refused where the file that the application names is not there', () => {
    for (const named of [join(folder, 'nowhere'), 'relative.cfg', '/a\0b']) {
      expect(() => libraries().open(client, named), named).to.throw('cannot be used');
    }
    mkdirSync(join(folder, 'folder'));
    expect(() => libraries().open(client, join(folder, 'folder'))).to.throw('no regular file');
  });

  it('tells the HSMs what is left to the client, and leaves to them what it does not say', () => {
    const told = (options: Record<string, unknown> | undefined) =>
      libraries().open(client, file({ clusters: [{ cluster: { cluster_id: 'cluster-first', options } }] }))
        .slots[0]!.options.switches;
    expect(told({ enable_ecdh_without_kdf: true })).to.deep.equal({
      certificateStorage: undefined,
      ecdhWithoutKdf: true,
    });
    expect(told({ enable_certificate_storage: false }).certificateStorage).to.equal(false);
    expect(told(undefined)).to.deep.equal({ certificateStorage: undefined, ecdhWithoutKdf: undefined });
  });

  it('asks a busy HSM again unless its configuration says otherwise', () => {
    const retries = (options: object) =>
      libraries().open(
        client,
        file({ clusters: [{ cluster: { cluster_id: 'cluster-first', options: { ...options } } }] }),
      ).slots[0]!.options.retries;
    expect(retries({ default_retry_mode: 'off' })).to.equal(false);
    expect(retries({ default_retry_mode: 'standard' })).to.equal(true);
    expect(retries({})).to.equal(undefined);
  });

  const libraryLog = (path = logFile): string[] => readFileSync(path, 'utf8').trim().split('\n');

  it('warns once, in its log, of fields without effect', () => {
    rmSync(logFile);
    const cluster = {
      cluster_id: 'cluster-first',
      options: { default_retry_mode: 'off' as const, turbo: true },
    };
    libraries().open(
      client,
      file({ clusters: [{ cluster }], shiny: 1, logging: { loud: true } } as ClientConfig),
    );
    const warnings = libraryLog().filter((line) => line.includes(' WARN [4711] ThreadId(1) '));
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include(
      'fields without effect: clusters[0].cluster.options.turbo, logging.loud, shiny',
    );
    expect(lines).to.deep.equal([]);
  });

  it('logs where its configuration says, of the levels it says', () => {
    const path = join(folder, 'own.log');
    const logging = { log_file: path, log_level: 'error', log_interval: 'never' } as const;
    const { log } = libraries().open(client, file({ logging }));
    log.write('error', 'path', ['text']);
    expect(libraryLog(path)).to.have.length(1);
    expect(libraryLog(path)[0]).to.match(/^20\S+Z ERROR \[4711\] ThreadId\(1\) \[path\] text$/);
  });

  it('is served all the same where its log cannot be written: the lines go to the default file', () => {
    rmSync(logFile);
    const logging = { log_file: '/nowhere/cloudhsm-pkcs11.log' };
    libraries().open(client, file({ logging })).log.write('error', 'path', ['kept']);
    expect(libraryLog().at(-1)).to.include('kept');
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include('/nowhere/cloudhsm-pkcs11.log').and.include(logFile);
  });
});
