/** Asks before something that cannot be undone. */
import { refusal } from './exit';
import { type CliPorts } from './ports';

/** Goes on only when `word` is typed; without a terminal nobody can be asked, and `--yes` is needed. */
export async function confirm(
  { output }: CliPorts,
  { warning, word }: { readonly warning: string; readonly word: string },
): Promise<void> {
  output.note(warning);
  const answer = await output.ask(`Type ${word} to go on: `);
  if (answer === null) throw refusal('NotConfirmed', 'Nobody is there to be asked: give --yes.');
  if (answer.trim() !== word) throw refusal('NotConfirmed', 'Nothing was done.');
}
