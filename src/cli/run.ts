/** What a command runs until it is told to end. */
export interface Running {
  stop(): Promise<void>;
  readonly stopRequested: Promise<void>;
}

/** Runs it until a signal, or until somebody asks for its end through its control socket. Ends this process. */
export async function untilStopped(running: Running, ready: () => void | Promise<void>): Promise<never> {
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  await ready();
  await Promise.race([stopped, running.stopRequested]);
  await running.stop();
  if (process.stdout.isTTY) console.log('cloudhsm-local has ended.');
  // A program that is still being answered must not keep the process.
  process.exit(0);
}

type StartMessage =
  | { readonly ready: true }
  | { readonly failed: { readonly code: string; readonly message: string } };

/** Tells the process that started this one, and lets go of it. */
export function tellParent(message: StartMessage): Promise<void> {
  return new Promise((resolve) => {
    process.send!(message, undefined, undefined, () => {
      if (process.connected) process.disconnect();
      resolve();
    });
  });
}

/** Says that the process is ready: to whoever started it, or on the screen. */
export async function sayReady(text: () => Promise<string>): Promise<void> {
  if (process.send === undefined) console.log(await text());
  else await tellParent({ ready: true });
}

export type { StartMessage };
