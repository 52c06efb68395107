import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import pino from 'pino';
import type { ClientConfig } from '../../src/base/client-config.js';
import { silentLog } from '../../src/base/log.js';
import { Libraries } from '../../src/bridge/libraries.js';
import type { ClusterView } from '../../src/cluster/cluster.js';
import { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import { memoryCluster } from '../support/in-process.js';

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

  const libraries = (of: readonly ClusterView[] = clusters, configFiles: readonly string[] = []): Libraries =>
    new Libraries(
      { clusters: of, profile: 'compatible', readiness: new ReadinessRecord(silentLog) },
      { configFiles, logFile },
      pino({ level: 'debug' }, { write: (line: string) => lines.push(line) }),
    );
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

  it('does not connect to HSMs that are switched off, and is refused where none is left', () => {
    const [first] = clusters;
    const server = (hostname: string, enable: boolean) => ({ hostname, enable });
    const of = (...servers: object[]) => only({ cluster: { servers: servers as never } });
    const { slots } = libraries([first!]).open(client, of(server('hsm-1', false), server('hsm-2', true)));
    expect([...slots[0]!.disabledHsms!]).to.deep.equal(['hsm-1']);
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
