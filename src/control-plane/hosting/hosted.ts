import { describeError, Failure } from '../../base/errors.js';
import { limits } from '../../base/limits.js';
import type { Members } from '../../wire/hsm-frames.js';
import type { HsmEvents, HsmHost } from '../hsm-host.js';
import {
  type Answer,
  type CallName,
  type EventName,
  type FromHsm,
  type Given,
  type Happened,
  hsmCalls,
  toHsm,
} from './hsm-messages.js';
import type { LocalHsms } from './local-hsms.js';

/** What a process of one HSM opens when it is told to begin. */
export interface HostedHsm {
  readonly host: HsmHost & Pick<LocalHsms, 'clientIdentity' | 'dismissClients' | 'inheritFrom'>;
  /** The HSMs of the cluster are others than before. */
  hear(members: Members): void;
  close(): Promise<void>;
}

/** The channel to whoever has started this process. */
export type Channel = Pick<NodeJS.Process, 'on' | 'send' | 'connected' | 'disconnect'>;

/** Tells the control plane what it learns without asking. */
export type Tell = <N extends EventName>(event: N, ...happened: Happened<N>) => void;

const fitting = (text: string): string => text.slice(0, limits.failureTextBytes);

/**
 * Serves the calls of the control plane that has started this process, until it says so or is no more: then `ended` is called.
 * @param open takes what `begin` was given
 */
export function serveCalls(
  channel: Channel,
  open: (beginning: unknown, tell: Tell) => Promise<HostedHsm>,
  ended: () => void,
): void {
  let opening: Promise<HostedHsm> | undefined;
  const send = (message: FromHsm): void => {
    if (channel.connected) channel.send!(message, undefined, undefined, () => undefined);
  };
  const tell: Tell = (event, ...happened) => send({ event, happened });
  const hosted = async (): Promise<HostedHsm> => {
    if (opening === undefined) throw new Error('the process has not been told to begin');
    return opening;
  };
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    // What could not be opened is not there.
    closing ??= (opening ?? Promise.resolve(undefined))
      .catch(() => undefined)
      .then((present) => present?.close());
    return closing;
  };
  const ofHost =
    <N extends Exclude<CallName, 'begin' | 'close'>>(name: N) =>
    async (...given: Given<N>): Promise<Answer<N>> => {
      const { host } = await hosted();
      return (host[name] as (...given: Given<N>) => Promise<Answer<N>>).call(host, ...given);
    };
  const handlers: { readonly [N in CallName]: (...given: Given<N>) => Promise<Answer<N>> } = {
    begin: async (beginning) => {
      opening ??= open(beginning, tell).then((opened) => {
        const events: HsmEvents = {
          activated: (hsmId) => tell('activated', hsmId),
          used: (hsmId) => tell('used', hsmId),
          failed: (hsmId, reason) => tell('failed', hsmId, fitting(reason)),
        };
        opened.host.watch(events);
        return opened;
      });
      await opening;
    },
    create: ofHost('create'),
    start: ofHost('start'),
    check: ofHost('check'),
    identity: ofHost('identity'),
    initialize: ofHost('initialize'),
    isActivated: ofHost('isActivated'),
    isInUse: ofHost('isInUse'),
    limitWrites: ofHost('limitWrites'),
    clientIdentity: ofHost('clientIdentity'),
    backUp: ofHost('backUp'),
    dismissClients: ofHost('dismissClients'),
    inheritFrom: ofHost('inheritFrom'),
    retire: ofHost('retire'),
    close,
  };
  const answer = async <N extends CallName>(name: N, given: readonly unknown[]): Promise<unknown> => {
    const handle = handlers[name] as (...given: Given<N>) => Promise<unknown>;
    return handle(...(hsmCalls[name].given.parse(given) as Given<N>));
  };
  channel.on('message', (message: unknown) => {
    const said = toHsm.parse(message);
    if ('members' in said) {
      void hosted().then(({ hear }) => hear(said.members));
      return;
    }
    const { id, call, given } = said;
    answer(call, given).then(
      (result) => send({ id, answer: result }),
      (error: unknown) => {
        const code = error instanceof Failure ? { code: error.code } : {};
        send({ id, ...code, refused: fitting(describeError(error)) });
      },
    );
  });
  channel.on('disconnect', () => void close().finally(ended));
}
