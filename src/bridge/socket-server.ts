import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { describeError } from '../base/errors.js';
import { isPromise } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import { requireSocketPath } from '../base/sockets.js';
import { FrameSplitter, frameHeader } from '../wire/frames.js';
import { isShare, readShare } from '../wire/handshake.js';
import type { Applications } from './applications.js';
import { Channel, farewell } from './channel.js';
import { noOffer, type SharedGroup } from './shared-memory.js';

/** Keeps frames on the sockets, on either side: to find out whether shared memory has to do with a problem. */
export const sharesMemory = (): boolean => process.env['CLOUDHSM_LOCAL_TRANSPORT'] !== 'socket';

/** Carries one module's frames over a Unix socket, until the module asks for shared memory and gets it. */
function serve(socket: Socket, applications: Applications, log: Log): void {
  const channel = new Channel(applications, log);
  const splitter = new FrameSplitter();
  let busy = false;
  let group: SharedGroup | undefined;

  const send = (frame: Buffer): void => {
    socket.cork();
    socket.write(frameHeader(frame.length));
    const drained = socket.write(frame);
    socket.uncork();
    // A peer that asks and never reads must not fill our memory.
    if (!drained) socket.pause();
  };
  const refuse = (error: unknown): void => {
    log.warn({ peer: 'module' }, `a connection was ended: ${describeError(error)}`);
    const last = farewell(error);
    if (last !== undefined) send(last);
    socket.destroySoon();
  };
  const share = (frame: Buffer): void => {
    group = sharesMemory() ? channel.share(socket, readShare(frame), refuse) : undefined;
    if (group === undefined) send(noOffer);
  };
  /** Serves what has arrived, a call at a time, for as long as the peer takes its answers away. */
  const next = (): void => {
    if (busy || socket.destroyed) return;
    try {
      while (!socket.writableNeedDrain) {
        const frame = splitter.next();
        if (frame === undefined) return;
        if (channel.accepted && isShare(frame)) {
          share(frame);
          continue;
        }
        const answer = channel.receive(frame);
        if (!isPromise(answer)) {
          send(answer);
          continue;
        }
        busy = true;
        answer
          .then(send)
          .catch(refuse)
          .finally(() => {
            busy = false;
            next();
          });
        return;
      }
    } catch (error) {
      refuse(error);
    }
  };

  socket.on('data', (chunk) => {
    if (group !== undefined) {
      group.wake();
      return;
    }
    try {
      splitter.push(chunk);
    } catch (error) {
      refuse(error);
      return;
    }
    next();
  });
  socket.on('drain', () => {
    socket.resume();
    next();
  });
  // A program that dies in mid-call resets its connection: that is no event worth more than a debug line.
  socket.on('error', (error) => log.debug({ peer: 'module' }, `connection lost: ${error.message}`));
  socket.on('close', () => {
    group?.close();
    channel.close();
  });
}

/** Listens for modules on a Unix socket (0600). A socket file that a killed engine left behind is removed first; the
 * caller holds the home's lock, so nobody else's is. Throws BAD_CONFIGURATION for a path too long for a socket. */
export async function listenForModules(
  path: string,
  applications: Applications,
  log: Log,
): Promise<{ close(): void }> {
  requireSocketPath(path);
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, applications, log);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Backlog: hundreds of threads may open their channels at once.
    server.listen({ path, backlog: 1024 }, resolve);
  });
  chmodSync(path, 0o600);
  return {
    close: () => {
      // Node removes the socket file along with the server.
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
