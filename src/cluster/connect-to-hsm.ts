import { connect } from 'node:net';
import { describeError } from '../base/errors.js';
import type { HsmConnection } from '../hsm/hsm.js';
import { HsmUnavailable, NobodyListens } from '../hsm/unavailable.js';
import type { TlsIdentity } from './tls.js';
import { TlsConnection, type TlsConnectionOptions } from './tls-connection.js';
import { type TlsContext, TlsStream, tlsContext } from './tls-stream.js';

/** How long the way to an HSM may take, and how long it may be silent while it owes an answer. */
export interface ReachTimeouts {
  readonly connectMs: number;
  readonly silenceMs: number;
}

const DEFAULT_TIMEOUTS: ReachTimeouts = { connectMs: 3_000, silenceMs: 6_000 };

/** An HSM that is there answers a hello at once: what takes longer was cut off, and the program waits. */
const IDLE_HELLO_MS = 500;

export interface ReachOptions extends TlsConnectionOptions {
  readonly identity: TlsIdentity;
  readonly timeouts?: ReachTimeouts;
}

/** Of an identity: to read a private key costs more than to use it. */
const contexts = new WeakMap<TlsIdentity, TlsContext>();

function contextOf(identity: TlsIdentity): TlsContext {
  const context = contexts.get(identity) ?? tlsContext('client', identity);
  contexts.set(identity, context);
  return context;
}

function connectAnew(options: ReachOptions): Promise<HsmConnection> {
  const { endpoint, identity, timeouts = DEFAULT_TIMEOUTS } = options;
  return new Promise((resolve, reject) => {
    const { host, port } = endpoint;
    const context = contextOf(identity);
    // Read by nobody but the TLS connection over it.
    const socket = connect({ host, port }).pause();
    let stream: TlsStream | undefined;
    const unreachable = (why: string, cause?: unknown): HsmUnavailable => {
      const text = `the HSM at ${host}:${port} ${why}`;
      return stream === undefined
        ? new NobodyListens(text, { cause })
        : new HsmUnavailable('unreachable', text, { cause });
    };
    const failed = (error: unknown): void => {
      clearTimeout(tooLong);
      reject(unreachable(`cannot be reached: ${describeError(error)}`));
    };
    const tooLong = setTimeout(() => {
      if (stream === undefined) socket.destroy();
      else stream.destroy();
      reject(unreachable(`did not answer within ${timeouts.connectMs} ms`));
    }, timeouts.connectMs);
    const opened = (over: TlsStream): void => {
      const made = new TlsConnection(over, options, timeouts.silenceMs);
      made
        .greet()
        .then(() => resolve(made), reject)
        .finally(() => clearTimeout(tooLong));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      try {
        const over = new TlsStream(context, socket, {
          opened: () => opened(over),
          closed: (why = 'the HSM closed the connection') => failed(why),
        });
        stream = over;
      } catch (error) {
        socket.destroy();
        failed(error);
      }
    });
  });
}

/** Over a connection that another application has left. That it was lost meanwhile, shows only when it is used. */
async function connectOverIdle(options: ReachOptions): Promise<HsmConnection | undefined> {
  const { idle, timeouts = DEFAULT_TIMEOUTS } = options;
  const stream = idle?.take();
  if (stream === undefined) return undefined;
  const tooLong = setTimeout(() => stream.destroy(), Math.min(timeouts.connectMs, IDLE_HELLO_MS));
  try {
    const connection = new TlsConnection(stream, options, timeouts.silenceMs);
    await connection.greet();
    return connection;
  } catch {
    idle?.clear();
    return undefined;
  } finally {
    clearTimeout(tooLong);
  }
}

/** Connects to an HSM in another process, over mutual TLS. Rejects with HsmUnavailable. */
export async function connectToHsm(options: ReachOptions): Promise<HsmConnection> {
  return (await connectOverIdle(options)) ?? connectAnew(options);
}
