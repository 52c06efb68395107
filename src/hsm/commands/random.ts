import { randomBytes } from '../../crypto/index.js';
import type { Command } from './command.js';

/** Random bytes. No login: programs seed themselves before they log in. */
export const generateRandom: Command<{ lengthBytes: number }, Buffer> = {
  login: 'none',
  run: (_session, { lengthBytes }) => randomBytes(lengthBytes),
};
