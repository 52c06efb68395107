/** "Label ≤ 127 characters", of certificates (reference section 15) and of keys where CloudHSM's CLI sets them (reference
 * management-tools, section 6.3). That the library's keys have the same limit is a guess. */
export const LABEL_CHARACTERS = 127;

export function labelCharacters(value: Buffer): number {
  // No text has more characters than bytes.
  return value.length <= LABEL_CHARACTERS ? value.length : [...value.toString('utf8')].length;
}
