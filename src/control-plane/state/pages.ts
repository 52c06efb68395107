import { constantTimeEqual, digest, hmac, importSecretKey, type SecretKey } from '../../crypto/index.js';
import { invalidRequest } from '../service/errors.js';

const TAG_BYTES = 16;
const QUERY_BYTES = 8;

/** Where an item stands in its list. */
export type Position = readonly [number, string];

export interface PageRequest<T> {
  /** What was asked, without the token: a token answers the same question only. */
  readonly query: unknown;
  readonly items: readonly T[];
  readonly positionOf: (item: T) => Position;
  readonly descending?: boolean;
  readonly maxResults: number;
  readonly token: string | undefined;
}

const compare = ([a, aName]: Position, [b, bName]: Position): number =>
  a - b || (aName < bName ? -1 : aName > bName ? 1 : 0);

/**
 * Pages of lists. A token says behind which item the next page begins, not how many came before: what is deleted
 * meanwhile moves nothing. Tokens are authenticated, so nobody else's mean anything (reference section 2.5).
 */
export class PageTokens {
  readonly #key: SecretKey;

  constructor(key: Buffer) {
    this.#key = importSecretKey(key);
  }

  page<T>({ query, items, positionOf, descending = false, maxResults, token }: PageRequest<T>): {
    items: T[];
    nextToken?: string;
  } {
    const queryHash = digest('sha256', Buffer.from(JSON.stringify(query))).subarray(0, QUERY_BYTES);
    const after = token === undefined ? undefined : this.#open(token, queryHash);
    const sign = descending ? -1 : 1;
    const rest = items
      .filter((item) => after === undefined || sign * compare(positionOf(item), after) > 0)
      .sort((a, b) => sign * compare(positionOf(a), positionOf(b)));
    const page = rest.slice(0, maxResults);
    if (rest.length === page.length) return { items: page };
    return { items: page, nextToken: this.#seal(positionOf(page.at(-1)!), queryHash) };
  }

  #seal(position: Position, queryHash: Buffer): string {
    const content = Buffer.concat([queryHash, Buffer.from(JSON.stringify(position))]);
    return Buffer.concat([this.#tag(content), content]).toString('base64url');
  }

  #open(token: string, queryHash: Buffer): Position {
    const bytes = Buffer.from(token, 'base64url');
    const content = bytes.subarray(TAG_BYTES);
    const genuine =
      content.length > QUERY_BYTES && constantTimeEqual(bytes.subarray(0, TAG_BYTES), this.#tag(content));
    if (!genuine || !content.subarray(0, QUERY_BYTES).equals(queryHash))
      throw invalidRequest('The NextToken is not one of this request: use it with the same parameters.');
    return JSON.parse(content.subarray(QUERY_BYTES).toString('utf8')) as Position;
  }

  #tag(content: Buffer): Buffer {
    return hmac('sha256', this.#key, content).subarray(0, TAG_BYTES);
  }

  close(): void {
    this.#key.destroy();
  }
}
