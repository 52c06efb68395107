import { limits } from '../../base/limits.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import { readNamedFile } from '../connection/identity.js';
import { refused } from '../failure.js';
import { fromPem } from '../pem.js';
import type { Terminal } from '../terminal.js';
import type { CliCluster } from './cluster.js';
import { readSignedChallenges, writeChallenges } from './token-files.js';

async function asked(terminal: Terminal, prompt: string): Promise<string> {
  const answer = await terminal.ask(prompt);
  if (answer === undefined) throw refused('no file was named');
  return answer.trim();
}

/**
 * Has the challenges of all HSMs signed: writes them to a file and asks where the signed one is (reference management-tools,
 * section 6.6). Answers the signature that each connection's HSM wants: challenges and what is signed with them belong to a
 * connection.
 */
export async function signChallenges(
  cluster: CliCluster,
  terminal: Terminal,
  file: string,
): Promise<(connection: HsmConnection) => Buffer> {
  const challenges = new Map<HsmConnection, Buffer>();
  await cluster.onConnected('Token generation', async (connection) => {
    challenges.set(connection, await connection.send('getChallenge', undefined));
  });
  writeChallenges(file, [...challenges.values()]);
  const answer = await asked(
    terminal,
    'Enter signed token file path (press enter if same as the unsigned token file):',
  );
  const signatureOf = readSignedChallenges(answer === '' ? file : answer);
  return (connection) => {
    const challenge = challenges.get(connection);
    if (challenge === undefined)
      throw refused('the connection to an HSM was lost while the token was signed');
    return signatureOf(challenge);
  };
}

/** Reads a public key file: the DER of its SubjectPublicKeyInfo. Throws REFUSED. */
export function readPublicKey(path: string): Buffer {
  const der = fromPem('PUBLIC KEY', readNamedFile(path).toString('utf8'));
  if (der.length > limits.publicKeyBytes) throw refused(`${path} is no RSA key of 2048 bits`);
  return der;
}

/** Asks for the file of a public key. */
export async function askForPublicKey(terminal: Terminal): Promise<Buffer> {
  return readPublicKey(await asked(terminal, 'Enter public key PEM file path:'));
}
