import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { HsmLink } from '../../src/cluster/links.js';
import { Seats } from '../../src/cluster/seats.js';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { ckr } from '../../src/pkcs11/ckr.js';
import { codeOf } from '../support/codes.js';
import { until } from '../support/network.js';

/** An HSM elsewhere that remembers what it is sent, and answers a write when it is told to. */
class Elsewhere implements HsmLink {
  readonly direct = false;
  readonly sent: string[] = [];
  finishWrite = (): void => undefined;
  lose = (): void => undefined;

  constructor(readonly hsmId: string) {}

  async connect(...[, , lost]: Parameters<HsmLink['connect']>): Promise<HsmConnection> {
    this.lose = lost;
    const send = (name: string): unknown => {
      this.sent.push(name);
      if (name === 'locateObject') return Promise.resolve({ token: true });
      if (name !== 'insertMaskedObject') return Promise.resolve(undefined);
      return new Promise<void>((resolve) => {
        this.finishWrite = resolve;
      });
    };
    return { hsmId: this.hsmId, send, close: () => undefined } as unknown as HsmConnection;
  }
}

/** One whose connection takes as long as it is told to. */
class FarAway extends Elsewhere {
  reached = (): void => undefined;

  override async connect(...how: Parameters<HsmLink['connect']>): Promise<HsmConnection> {
    await new Promise<void>((resolve) => {
      this.reached = resolve;
    });
    return super.connect(...how);
  }
}

/** It counts wrong passwords, as HSMs do, until somebody sets the password of the others. */
class Refusing extends Elsewhere {
  wrongPasswords = 0;
  isRepaired = false;

  override async connect(): Promise<HsmConnection> {
    const send = async (name: string): Promise<unknown> => {
      this.sent.push(name);
      if (name === 'getUserInfo') return { wrongPasswords: this.wrongPasswords };
      if (name === 'login' && !this.isRepaired) {
        this.wrongPasswords++;
        throw ckr('CKR_PIN_INCORRECT', 'wrong password');
      }
      return undefined;
    };
    return { hsmId: this.hsmId, send, close: () => undefined } as unknown as HsmConnection;
  }
}

/** Seats at HSMs, which become others when `become` says so. */
function seatsAt(...first: HsmLink[]) {
  let links: readonly HsmLink[] = first;
  let changed = (): void => undefined;
  const seats = new Seats({
    current: () => links,
    watch: (callBack) => {
      changed = callBack;
      return () => undefined;
    },
  });
  const become = (...others: HsmLink[]): void => {
    links = others;
    changed();
  };
  return { seats, become };
}

describe('an HSM that comes', () => {
  it('catches up when the others have what was being written before it took part', async () => {
    const [first, second] = [new Elsewhere('hsm-1'), new Elsewhere('hsm-2')];
    const { seats, become } = seatsAt(first);
    await seats.login('crypto_user', 'password', 'CU');
    const insert = (connection: HsmConnection) =>
      connection.send('insertMaskedObject', { masked: Buffer.alloc(1) });
    const written = seats.sendToAll(insert);
    await turn();
    become(first, second);
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(second.sent).to.deep.equal(['login']);
    first.finishWrite();
    await written;
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(second.sent).to.deep.equal(['login', 'synchronize']);
    expect(seats.up).to.deep.equal(['hsm-1', 'hsm-2']);
    // What is written from the login on it gets itself.
    const both = seats.sendToAll(insert);
    await turn();
    expect(second.sent).to.include('insertMaskedObject');
    for (const hsm of [first, second]) hsm.finishWrite();
    await both;
    seats.close();
  });
});

describe('an HSM that comes back', () => {
  it('has the others catch up with what only it has heard of', async () => {
    const [first, second] = [new Elsewhere('hsm-1'), new Elsewhere('hsm-2')];
    const { seats } = seatsAt(first, second);
    await seats.login('crypto_user', 'password', 'CU');
    await until(() => seats.up.length === 2);
    expect(first.sent.filter((name) => name === 'synchronize')).to.have.length(1);
    second.lose();
    expect(seats.up).to.deep.equal(['hsm-1']);
    await until(() => seats.up.length === 2);
    expect(first.sent.filter((name) => name === 'synchronize')).to.have.length(2);
    expect(second.sent.filter((name) => name === 'synchronize')).to.have.length(2);
    seats.close();
  });
});

describe('a write to HSMs of this process', () => {
  it('is begun by one of them before the next one is given it', async () => {
    const done: string[] = [];
    const linkTo = (hsmId: string): HsmLink => ({
      hsmId,
      direct: true,
      connect: () => {
        const send = async (): Promise<void> => {
          done.push(`${hsmId} is given it`);
          await undefined;
          done.push(`${hsmId} begins`);
        };
        return { hsmId, send, close: () => undefined } as unknown as HsmConnection;
      },
    });
    const links = ['hsm-1', 'hsm-2', 'hsm-3'].map(linkTo);
    const { seats } = seatsAt(...links);
    await seats.login('crypto_user', 'password', 'CU');
    done.length = 0;
    await seats.sendToAll((connection) => connection.send('insertMaskedObject', { masked: Buffer.alloc(1) }));
    expect(done).to.deep.equal(links.flatMap(({ hsmId }) => [`${hsmId} is given it`, `${hsmId} begins`]));
    seats.close();
  });
});

describe('a login', () => {
  it('goes to all HSMs at once when one has taken it', async () => {
    class Slow extends Elsewhere {
      answer = (): void => undefined;

      override async connect(): Promise<HsmConnection> {
        const send = (name: string): Promise<void> => {
          this.sent.push(name);
          if (name !== 'login') return Promise.resolve();
          return new Promise((resolve) => {
            this.answer = resolve;
          });
        };
        return { hsmId: this.hsmId, send, close: () => undefined } as unknown as HsmConnection;
      }
    }
    const hsms = ['hsm-1', 'hsm-2', 'hsm-3'].map((hsmId) => new Slow(hsmId));
    const { seats } = seatsAt(...hsms);
    await until(() => seats.up.length === 3);
    const login = seats.login('crypto_user', 'password', 'CU');
    const asked = (): string[] => hsms.flatMap(({ hsmId, sent }) => (sent.includes('login') ? [hsmId] : []));
    await until(() => asked().length > 0);
    await turn();
    expect(asked()).to.deep.equal(['hsm-1']);
    hsms[0]!.answer();
    await until(() => asked().length === 3);
    for (const hsm of hsms) hsm.answer();
    await login;
    seats.close();
  });

  it('that is wrong is a wrong password on one HSM', async () => {
    const hsms = [new Refusing('hsm-1'), new Refusing('hsm-2')];
    const { seats } = seatsAt(...hsms);
    await until(() => seats.up.length === 2);
    expect(await codeOf(() => seats.login('crypto_user', 'wrong', 'CU'))).to.equal('CKR_PIN_INCORRECT');
    expect(hsms.map(({ wrongPasswords }) => wrongPasswords)).to.deep.equal([1, 0]);
    seats.close();
  });
});

describe('an HSM on which the user has another password', () => {
  it('is not told the password that it has refused again and again, which would lock the user there', async () => {
    const [first, second] = [new Elsewhere('hsm-1'), new Refusing('hsm-2')];
    const { seats, become } = seatsAt(first);
    await seats.login('crypto_user', 'password', 'CU');
    become(first, second);
    const asked = (): number => second.sent.filter((name) => name === 'getUserInfo').length;
    await until(() => asked() === 2);
    expect(second.wrongPasswords).to.equal(1);
    expect(seats.up).to.deep.equal(['hsm-1']);
    Object.assign(second, { wrongPasswords: 0, isRepaired: true });
    await until(() => seats.up.length === 2);
    expect(second.wrongPasswords).to.equal(0);
    seats.close();
  });

  it('is told another login', async () => {
    const [first, second] = [new Elsewhere('hsm-1'), new Refusing('hsm-2')];
    const { seats, become } = seatsAt(first);
    await seats.login('crypto_user', 'password', 'CU');
    become(first, second);
    await until(() => second.sent.includes('getUserInfo'));
    second.isRepaired = true;
    await seats.logout();
    await seats.login('crypto_user', 'password of the second', 'CU');
    await until(() => seats.up.length === 2);
    seats.close();
  });
});

describe('what a program that has just started changes', () => {
  const changes: Record<string, (client: ClusterClient) => unknown> = {
    destroyObject: (client) => client.destroyObject(64),
    setAttributes: (client) => client.setAttributes(64, []),
    shareKey: (client) => client.shareKey(64, 'other_user'),
    unshareKey: (client) => client.unshareKey(64, 'other_user'),
  };
  for (const [name, change] of Object.entries(changes)) {
    it(`reaches the HSMs that it is still connecting to: ${name}`, async () => {
      const [near, far] = [new Elsewhere('hsm-1'), new FarAway('hsm-2')];
      const client = new ClusterClient({ current: () => [near, far], watch: () => () => undefined });
      await client.login('crypto_user', 'password');
      let done = false;
      const changed = Promise.resolve(change(client)).then(() => {
        done = true;
      });
      for (let turns = 0; turns < 20; turns++) await turn();
      expect(done).to.equal(false);
      expect(near.sent).to.not.include(name);
      far.reached();
      await changed;
      expect(near.sent).to.include(name);
      expect(far.sent).to.deep.equal(['login', 'synchronize', name]);
      client.close();
    });
  }
});
