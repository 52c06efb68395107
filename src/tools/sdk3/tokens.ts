import type { KeyInfo } from '../../hsm/commands/key-info.js';
import type { TokenInfo } from '../../hsm/quorum/quorum.js';
import { type Service, serviceNumber } from '../../hsm/quorum/services.js';

/* What the tools of Client SDK 3 print of tokens and of keys that need approvals (reference management-tools, sections 4.3 and 4.5). */

/** "The token block, one item per line." */
export const tokenLines = (
  { id, service, user, key = 0 }: { id: number; service: Service; user: string; key?: number | undefined },
  node: number,
): string[] => [
  'Token:',
  `Id:${id}`,
  `Service:${serviceNumber(service)}`,
  `Node:${node}`,
  `Key Handle:${key}`,
  `User:${user}`,
];

/** The tokens of one HSM, numbered. */
export const listedTokens = (tokens: readonly TokenInfo[], node: number): string[] =>
  tokens.flatMap((token, at) => [
    `-------- Token - ${at} ----------`,
    ...tokenLines(token, node),
    `Token Validity: ${token.secondsLeft} sec`,
    `Required num of approvers : ${token.required}`,
    `Current num of approvals : ${token.approvers.length}`,
    ...token.approvers.map((name, approver) => `Approver-${approver}: ${name}`),
  ]);

/** "The quorum line only if m_value > 0." Keys of these tools have one value; of another's two this is the greater one [guess]. */
export function quorumLines({ quorum: { manage, use } }: KeyInfo): string[] {
  const value = Math.max(manage, use);
  return value > 0 ? [`         ${value} Users need to approve to use/manage this key`] : [];
}
