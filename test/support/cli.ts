import { PassThrough } from 'node:stream';
import { cloudhsmCli } from '../../src/tools/cloudhsm-cli/main.js';
import type { TestPrefix } from './prefix.js';

export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly pin?: string;
  readonly role?: 'admin' | 'crypto-user';
  readonly env?: NodeJS.ProcessEnv;
  /** What is typed, line by line: a function answers when its turn has come. */
  readonly input?: readonly (string | (() => string | Promise<string>))[];
  /** The streams are a terminal's. */
  readonly terminal?: boolean;
}

/** What a terminal shows, without what moves its cursor. */
export function withoutEscapes(text: string): string {
  return text
    .replaceAll('\r', '')
    .split('\u001b')
    .map((part, at) => (at === 0 ? part : part.replace(/^\[[0-9;]*[A-Za-z]/, '')))
    .join('');
}

/** Runs cloudhsm-cli in this process, on the configuration of a prefix. */
export async function runCli(
  prefix: TestPrefix,
  words: readonly string[],
  { pin, role, env = {}, input = [], terminal = false }: CliOptions = {},
): Promise<CliRun> {
  const streams = { input: new PassThrough(), output: new PassThrough(), errors: new PassThrough() };
  const seen = { output: '', errors: '' };
  const pending = [...input];
  let listening = 0;
  const typed = async (): Promise<void> => {
    const next = pending.shift();
    if (next === undefined) streams.input.end();
    else streams.input.write(`${typeof next === 'string' ? next : await next()}\n`);
  };
  for (const name of ['output', 'errors'] as const) {
    streams[name].on('data', (chunk: Buffer) => {
      seen[name] += chunk.toString();
      // Every question ends with one of these, and nothing else that is printed does. A terminal places its cursor there.
      const shown = withoutEscapes(seen.output);
      const asked = /(?:> |:)$/.test(shown) && seen.output.length > listening;
      if (name === 'output' && asked) {
        listening = seen.output.length;
        void typed();
      }
    });
  }
  if (terminal) {
    Object.assign(streams.input, { isTTY: true, setRawMode: () => undefined });
    Object.assign(streams.output, { isTTY: true, columns: 200 });
  }
  const environment = {
    ...(pin !== undefined && { CLOUDHSM_PIN: pin, CLOUDHSM_ROLE: role ?? 'crypto-user' }),
    ...env,
  };
  const code = await cloudhsmCli(
    ['--config', prefix.path('etc/cloudhsm-cli.cfg'), ...words],
    environment,
    streams,
  );
  return { code, stdout: seen.output, stderr: seen.errors };
}

/** The JSON that a run printed. */
export function dataOf({ stdout }: CliRun): unknown {
  return (JSON.parse(stdout) as { data: unknown }).data;
}

/** All the JSON that an interactive run printed, in turn. */
export function answersOf({ stdout }: CliRun): { error_code: number; data: unknown }[] {
  return [...withoutEscapes(stdout).matchAll(/^(?:.*> |.*:)?(\{\n[\s\S]*?\n\})$/gm)].map(([, text]) =>
    JSON.parse(text!),
  );
}

/** What the tool prints that differs from run to run, for golden files. */
export const cliPatterns: readonly (readonly [RegExp, string])[] = [
  [/(?<=")0x0[0-9a-f]{15}(?=")/g, 'reference'],
  [/(?<="check-value": ")0x[0-9a-f]{6}/g, 'check-value'],
  [/(?<="modulus": ")0x[0-9a-f]+/g, 'modulus'],
  [/(?<="ec-point": ")0x[0-9a-f]+/g, 'point'],
  [/(?<="(signature|wrapped[_-]key[_-]data)": ")[A-Za-z0-9+/=]+/g, 'base64'],
  [/(?<="token-timeout-seconds": )\d+/g, 'seconds'],
  [/(?<="key-length-bytes": )1[0-9]{2,3}(?=,)/g, 'pkcs8-bytes'],
  [/(?<="iv": ")0x[0-9a-f]{24}/g, 'iv'],
  [/-----BEGIN CERTIFICATE-----[^"]*-----END CERTIFICATE-----\\n/g, 'certificate'],
];
