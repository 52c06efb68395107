import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';

/**
 * @typedef {object} Options
 * @property {boolean} quick    few rows, short slices: under a minute
 * @property {boolean} large    also the rows that need 100,000 token keys
 * @property {string[]} [rows]  only these, in this order; any size can be named: aes-gcm-1500
 * @property {number[]} threads
 * @property {number} rounds
 * @property {number} seconds   one slice: one target, one round
 * @property {number} warmUp    so many seconds of a row before its rounds, the first time on a target
 * @property {string[]} [targets]
 * @property {boolean} limits   measure openssl speed, disk sync and round trips as well
 * @property {string} folder    where homes and tokens are made; on a disk, or the token rows mean nothing
 */

export const usage = `npm run bench -- [options]
  --quick            few rows and short slices: under a minute
  --large            also with 100,000 token keys (minutes to make them)
  --rows a,b         only these rows; any size (aes-gcm-1500), a key on the token
                     (aes-gcm-token-1500), and mixes (aes-gcm-16+rsa-sign-2048+null)
  --threads 1,2,4    threads of the harness (--quick: 1,2)
  --rounds n         interleaved rounds, of which medians are taken (5; --quick: 3)
  --seconds s        one slice of one target (0.5; --quick: 0.1)
  --warm-up s        of each row on each target before its rounds (2; --quick: 0.1); first is the ratio
                     of the slice before that, which a program meets that has just started
  --targets a,b      cloudhsm-local, softhsm, p11-kit, and only when named split-1, split-2, split-3:
                     so many HSMs in processes of their own, over TLS; the ratio is to p11-kit then (p)
  --no-limits        leave out openssl speed, disk sync and round trips
  --folder dir       where homes and tokens are made (the system's temporary folder); must be on a disk
  --list             the rows
`;

const list = (text) => text?.split(',').filter((word) => word !== '');

/** @param {string[]} words @returns {Options & {help: boolean, list: boolean}} */
export function parseOptions(words) {
  const { values } = parseArgs({
    args: words,
    allowNegative: true,
    options: {
      quick: { type: 'boolean', default: false },
      large: { type: 'boolean', default: false },
      rows: { type: 'string' },
      threads: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'warm-up': { type: 'string' },
      targets: { type: 'string' },
      limits: { type: 'boolean', default: true },
      folder: { type: 'string', default: tmpdir() },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { quick } = values;
  return {
    ...values,
    rows: list(values.rows),
    targets: list(values.targets),
    threads: (list(values.threads) ?? (quick ? ['1', '2'] : ['1', '2', '4'])).map((text) =>
      positive('--threads', text, 512),
    ),
    rounds: positive('--rounds', values.rounds ?? (quick ? '3' : '5'), 1000),
    warmUp: positive('--warm-up', values['warm-up'] ?? (quick ? '0.1' : '2'), 600),
    seconds: positive('--seconds', values.seconds ?? (quick ? '0.1' : '0.5'), 600),
  };
}

function positive(option, text, most) {
  const value = Number(text);
  if (!(value > 0 && value <= most)) throw new Error(`${option} ${text}: a number up to ${most} is needed`);
  return value;
}
