import { expect } from 'chai';
import { logIn } from '../../../src/tools/cloudhsm-cli/commands/login.js';
import { CliClusters } from '../../../src/tools/cloudhsm-cli/context.js';
import { readKeys } from '../../../src/tools/cloudhsm-cli/keys/description.js';
import { readSdk5Clusters } from '../../../src/tools/connection/cluster-access.js';
import { answersOf, type CliOptions, dataOf, runCli } from '../../support/cli.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';
import { ScriptedTerminal } from '../../support/scripted-terminal.js';

const USER = { pin: `crypto_user:${PASSWORD}` } as const;
const ADMIN = { pin: `admin:${PASSWORD}`, role: 'admin' } as const;

interface Page {
  readonly matched_keys: readonly {
    readonly 'key-reference': string;
    readonly attributes: Readonly<Record<string, string | number | boolean>>;
  }[];
  readonly total_key_count: number;
}

/** Reference management-tools, section 6.3: "key-reference=0xabc or one or more space-separated attr.<name>=<value> (AND)". */
describe('cloudhsm-cli: filters', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;
  let reference: string;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints, network.client);
    const made = await inOneSession([
      'key generate-symmetric aes --label aes --key-length-bytes 32 --attributes encrypt=true id=0x01',
      'key generate-symmetric generic-secret --label generic --key-length-bytes 20',
      'key generate-asymmetric-pair rsa --public-label rsa-public --private-label rsa-private --modulus-size-bits 2048 --public-exponent 65537',
      'key generate-asymmetric-pair ec --public-label ec-public --private-label ec-private --curve secp521r1',
    ]);
    reference = (made[0] as { key: Page['matched_keys'][number] }).key['key-reference'];
  });

  after(async () => {
    prefix.remove();
    await network.close();
  });

  /** What lines answer that somebody types who is logged in. */
  async function inOneSession(lines: readonly string[]): Promise<unknown[]> {
    const input = [`login --username crypto_user --role crypto-user --password "${PASSWORD}"`, ...lines];
    const [, ...answers] = answersOf(await runCli(prefix, ['interactive'], { input }));
    return answers.map(({ data }) => data);
  }
  const list = async (filter: readonly string[], as: CliOptions = USER): Promise<Page | string> =>
    dataOf(await runCli(prefix, ['key', 'list', '--filter', ...filter], as)) as Page | string;

  it('find a key by everything that it shows, and not by the opposite', async () => {
    const [shown] = (await inOneSession(['key list -v --max-items 50'])) as [Page];
    expect(shown.total_key_count).to.equal(6);
    const probes = shown.matched_keys.flatMap(({ attributes: { label, ...others } }) =>
      Object.entries(others).flatMap(([name, value]): [string, number][] => {
        const filter = (wanted: unknown) => `attr.label=${String(label)} attr.${name}=${String(wanted)}`;
        const opposite: [string, number][] = typeof value === 'boolean' ? [[filter(!value), 0]] : [];
        return [[filter(value), 1], ...opposite];
      }),
    );
    expect(probes.length).to.be.greaterThan(150);
    const found = (await inOneSession(probes.map(([filter]) => `key list --filter ${filter}`))) as Page[];
    for (const [at, [filter, count]] of probes.entries())
      expect(found[at]!.total_key_count, filter).to.equal(count);
  });

  it('may be several, and come in several options', async () => {
    const one = await runCli(
      prefix,
      ['key', 'list', '--filter=attr.class=secret-key', '--filter', 'attr.label=aes', 'attr.decrypt=false'],
      USER,
    );
    expect(dataOf(one)).to.deep.include({ total_key_count: 1 });
    expect(await list([`key-reference=${reference}`])).to.deep.include({ total_key_count: 1 });
    expect(await list(['attr.label=aes', 'attr.label=generic'])).to.deep.include({ total_key_count: 0 });
  });

  it('leave out a key that goes while keys are read', async () => {
    const clusters = new CliClusters(readSdk5Clusters(prefix.path('etc/cloudhsm-cli.cfg')));
    const cluster = await clusters.get();
    const terminal = new ScriptedTerminal([], () => undefined);
    await logIn(cluster, terminal, { username: 'crypto_user', role: 'crypto-user', password: PASSWORD });
    const handle = Number(reference);
    const keys = await readKeys(cluster, [handle, 1_000_000], {});
    expect(keys.map((key) => key.handle)).to.deep.equal([handle]);
    await clusters.close();
  });

  it('find for an admin what is not set, too, and nothing by what only users are shown', async () => {
    expect(await list(['attr.label=aes', 'attr.decrypt=false'], ADMIN)).to.deep.include({
      total_key_count: 1,
    });
    expect(await list(['attr.label=aes', 'attr.encrypt=false'], ADMIN)).to.deep.include({
      total_key_count: 0,
    });
    expect(await list(['attr.key-length-bytes=32'], ADMIN)).to.contain('crypto users only');
  });

  it('are refused where they could mean another key than somebody has in mind', async () => {
    // A decimal handle of the tools of SDK 3 is another key in hexadecimal.
    const decimal = String(Number(reference));
    for (const wrong of [decimal, reference.slice(2), '0x', '', '-0x41', '0x1ffffffffffffffff'])
      expect(await list([`key-reference=${wrong}`]), wrong).to.contain('is no key reference');
    for (const beside of ['key-reference=0x41', 'attr.label=aes'])
      expect(await list([`key-reference=${reference}`, beside]), beside).to.contain('nothing stands beside');
    for (const wrong of ['', 'aes', 'attr.label', 'label=aes', 'key-reference'])
      expect(await list([wrong]), wrong).to.contain('is no filter');
    for (const wrong of ['attr.=aes', 'attr.nothing=1', 'attr.toString=1'])
      expect(await list([wrong]), wrong).to.contain('there is no attribute');
    for (const wrong of [
      'attr.token=TRUE',
      'attr.class=key',
      'attr.modulus=123',
      'attr.key-length-bytes=0x20',
    ])
      expect(await list([wrong]), wrong).to.contain('is invalid');
  });
});
