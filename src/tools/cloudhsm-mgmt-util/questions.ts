import type { Given } from './command.js';
import type { Session } from './session.js';
import { CAUTION, CONTINUE_QUESTION, INVALID_ANSWER, PASSWORD_PROMPT } from './texts.js';

/** Whether somebody, having read the warning, wants to go on. */
export async function confirmed({ terminal }: Session): Promise<boolean> {
  terminal.print(CAUTION);
  for (;;) {
    const answer = (await terminal.ask(CONTINUE_QUESTION))?.trim();
    if (answer === undefined || answer === 'n' || answer === 'N') return false;
    if (answer === 'y' || answer === 'Y') return true;
    terminal.print(INVALID_ANSWER);
  }
}

/** One of some letters, however often it takes; undefined when no more answers come. */
export async function chosen<const Letters extends readonly string[]>(
  { terminal }: Session,
  question: string,
  letters: Letters,
): Promise<Letters[number] | undefined> {
  for (;;) {
    const answer = (await terminal.ask(question))?.trim().toUpperCase();
    if (answer === undefined || letters.includes(answer)) return answer;
  }
}

/** The password that was typed, or, for `-hpswd`, that is typed without an echo. */
export async function passwordOf({ terminal }: Session, given: Given): Promise<string | undefined> {
  const word = given.text('password');
  return word === '-hpswd' ? terminal.ask(PASSWORD_PROMPT, { hidden: true }) : word;
}
