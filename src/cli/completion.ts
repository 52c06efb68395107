import type { Command } from 'commander';

/** The words that may follow some words of `cloudhsm-local`, from the same rows as its help. */
export function localCompletions(program: Command, words: readonly string[]): string[] {
  const command = program.commands.find((one) => one.name() === words[0]);
  if (command === undefined) return [...program.commands.map((one) => one.name()), 'help'];
  const last = words.at(-1);
  const option = command.options.find(({ long }) => long === last);
  if (option !== undefined && (option.required || option.optional)) return option.argChoices ?? [];
  const given = words.slice(1).filter((word) => !word.startsWith('-')).length;
  const choices = command.registeredArguments[given]?.argChoices ?? [];
  const options = command.options.flatMap(({ long }) => (long && !words.includes(long) ? [long] : []));
  return [...choices, ...options, '--help'];
}

const bashCompletion = `_cloudhsm_complete() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$("$1" --complete "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _cloudhsm_complete cloudhsm-local cloudhsm-cli`;

/** What a shell reads at its start. Both programs tell what may come next when they are called with `--complete`. */
export const completionScripts = {
  bash: bashCompletion,
  zsh: `autoload -Uz compinit bashcompinit && compinit && bashcompinit\n${bashCompletion}`,
} as const;
