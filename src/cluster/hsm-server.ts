import { createServer, type Server, type Socket } from 'node:net';
import { commandFailure, describeError } from '../base/errors.js';
import { limits } from '../base/limits.js';
import type { Log } from '../base/log.js';
import { certificateBlocks } from '../base/pem.js';
import { parseCertificate } from '../crypto/index.js';
import type { Hsm } from '../hsm/hsm.js';
import { leadsTo } from '../hsm/mutual-tls.js';
import type { DeviationListener } from '../objects/gate.js';
import type { ClientSwitches, Members } from '../wire/hsm-frames.js';
import { type PeerTimeouts, ServedConnection } from './served-connection.js';
import { hsmIdOf, type TlsIdentity } from './tls.js';
import { type TlsContext, TlsStream, tlsContext } from './tls-stream.js';

const DEFAULT_TIMEOUTS: PeerTimeouts = {
  handshakeMs: 10_000,
  helloMs: 10_000,
  frameMs: 30_000,
  idleMs: 120_000,
};
/** Beyond the clients there are the other HSMs, and those who are still to be refused. */
const MOST_CONNECTIONS = limits.applications + 1024;
/** Who has still to show who they are: beyond it the one that has taken longest makes room, so that nobody who says nothing keeps
 * clients out. */
const MOST_STRANGERS = 512;

export interface HsmServerOptions {
  readonly hsm: Hsm;
  readonly identity: TlsIdentity;
  /** PEM: what makes an HSM of its cluster; without it the trust anchor does, for those whose ids the cluster has. */
  readonly peerAnchor?: string;
  /** Its ENI address. */
  readonly eniIp: string;
  /** The first one is told to clients. 0: any that is free. */
  readonly ports: readonly number[];
  readonly members: () => Members;
  readonly log: Log;
  readonly timeouts?: PeerTimeouts;
  /** How many clients it serves. */
  readonly mostClients?: number;
  readonly mostStrangers?: number;
}

export interface HsmServer {
  readonly hsmId: string;
  readonly eniIp: string;
  readonly ports: readonly number[];
  readonly clients: number;
  /** Whether clients can come: on all of its ports. */
  readonly listening: boolean;
  /** Tells all clients that the cluster's HSMs have changed. */
  announce(): void;
  /** Ends those of clients, and takes no more of them: other HSMs may take from it what only it has. */
  dismissClients(): void;
  /** Ends all connections, as the end of the process would. */
  close(): Promise<void>;
}

/**
 * Lets an HSM listen on its ENI address: TLS 1.2 or 1.3, and nothing for a peer without a certificate of the cluster's
 * trust anchor. Throws START_FAILED where the address or a port cannot be had.
 */
export async function serveHsm(options: HsmServerOptions): Promise<HsmServer> {
  const { hsm, identity, peerAnchor, eniIp, members, log } = options;
  const { timeouts = DEFAULT_TIMEOUTS, mostClients = limits.applications } = options;
  const { mostStrangers = MOST_STRANGERS } = options;
  const hsmId = hsm.settings.id;
  const connections = new Set<ServedConnection>();
  let dismissed = false;
  const clients = (): number => [...connections].filter(({ isClient }) => isClient).length;

  const authorities = (certificateBlocks(peerAnchor ?? identity.trustAnchor) ?? []).map((block) =>
    parseCertificate(block),
  );
  /** A trust anchor of clients makes nobody an HSM. */
  const isOfCluster = (presented: readonly Buffer[]): boolean =>
    authorities.some((authority) => leadsTo(presented, authority, Date.now()));
  const isMember = (id: string | undefined): boolean =>
    id !== undefined && (peerAnchor !== undefined || members().hsms.some((member) => member.id === id));
  /** Clients have certificates of the cluster's authority or of one that is registered for mutual TLS. */
  const newContext = () =>
    tlsContext('server', identity, [
      ...(peerAnchor === undefined ? [] : [peerAnchor]),
      ...hsm.mutualTls.anchors.map(({ certificate }) => certificate),
    ]);
  let context: TlsContext;
  try {
    context = newContext();
  } catch (error) {
    throw commandFailure('START_FAILED', `${hsmId} cannot use its certificate`, error);
  }

  /**
   * @param under what the peer was trusted by
   * @param wasUsed an application has left it
   */
  const accept = (stream: TlsStream, under: TlsContext, wasUsed = false): void => {
    // Who comes next on a connection must be somebody who could shake hands now.
    const isTrusted = under === context && !stream.hasExpired;
    if (hsm.condition === 'unreachable' || !isTrusted) {
      stream.destroy();
      return;
    }
    const { presented } = stream;
    const isPeer = !wasUsed && isMember(hsmIdOf(stream.certificate)) && isOfCluster(presented);
    if (dismissed && !isPeer) {
      stream.destroy();
      return;
    }
    const served = {
      hsmId,
      isPeer,
      wasUsed,
      timeouts,
      members,
      connect: (switches: ClientSwitches, allowed: (deviation: string, cause: string) => void) =>
        isPeer
          ? hsm.connectPeer()
          : hsm.connect({
              ...switches,
              allowed: allowed as DeviationListener,
              presented,
              dropped: () => stream.end(),
            }),
      watchObjects: (changed: (handle: number) => void) => hsm.objects.watch(changed),
      admit: () => isPeer || clients() < mostClients,
    };
    const connection = new ServedConnection(stream, served, log, {
      closed: () => {
        connections.delete(connection);
        hsm.traffic.remove(stream);
      },
      left: () => {
        connections.delete(connection);
        accept(stream, under, true);
      },
    });
    connections.add(connection);
    hsm.traffic.add(stream);
  };
  /** Peers that have still to show who they are. */
  const strangers = new Set<TlsStream>();
  const shakeHands = (socket: Socket): void => {
    try {
      const under = context;
      const stream = new TlsStream(under, socket, {
        opened: () => {
          known();
          try {
            accept(stream, under);
          } catch (error) {
            log.warn({ hsm: hsmId }, `a client was not let in: ${describeError(error)}`);
            stream.destroy();
          }
        },
        closed: (why = 'it ended the handshake') => {
          known();
          log.debug({ hsm: hsmId }, `no client of ours: ${why}`);
        },
      });
      const tooLong = setTimeout(() => stream.destroy(), timeouts.handshakeMs).unref();
      const known = (): void => {
        clearTimeout(tooLong);
        strangers.delete(stream);
      };
      strangers.add(stream);
      const [longest] = strangers;
      if (strangers.size > mostStrangers) longest!.destroy();
    } catch (error) {
      socket.destroy();
      log.debug({ hsm: hsmId }, `a client is lost: ${describeError(error)}`);
    }
  };
  const listen = (port: number): Promise<Server> => {
    const server = createServer({ pauseOnConnect: true }, shakeHands);
    server.maxConnections = MOST_CONNECTIONS;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: eniIp, port, backlog: 1024 }, () => {
        // Too many open files, for one: those who come next may be let in again.
        server.on('error', (error) => log.warn({ hsm: hsmId }, `a client was not let in: ${error.message}`));
        resolve(server);
      });
    });
  };

  const servers: Server[] = [];
  const unwatch = hsm.mutualTls.watch(() => {
    context = newContext();
    // Whoever says hello from now on must be somebody who is let in now. Who shakes hands is looked at behind that.
    for (const connection of connections) if (!connection.isAdmitted) connection.end();
  });
  const close = async (): Promise<void> => {
    unwatch();
    const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const stream of strangers) stream.destroy();
    for (const connection of connections) connection.end();
    await Promise.all(closed);
  };
  for (const port of options.ports) {
    try {
      servers.push(await listen(port));
    } catch (error) {
      await close();
      const where = `${eniIp}:${port}`;
      throw commandFailure(
        'START_FAILED',
        `${hsmId} cannot listen on ${where}: choose eniIp or ports`,
        error,
      );
    }
  }
  return {
    hsmId,
    eniIp,
    ports: servers.map((server) => (server.address() as { port: number }).port),
    get clients() {
      return clients();
    },
    get listening() {
      return servers.every((server) => server.listening);
    },
    announce: () => {
      for (const connection of connections) connection.announce(members());
    },
    dismissClients: () => {
      dismissed = true;
      for (const connection of connections) if (!connection.isPeer) connection.end();
    },
    close,
  };
}
