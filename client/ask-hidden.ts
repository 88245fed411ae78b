import type { CommandContext } from './command.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** One secret, typed unseen at /dev/tty: standard input is not read, so that no pipe can give it. @throws ValetkeyError pin_required, cancelled */
export async function askHidden({ meetPerson, signal }: Pick<CommandContext, 'meetPerson' | 'signal'>, question: string): Promise<string> {
  const person = meetPerson();
  if (person === null) throw ValetkeyError.local('pin_required', 'there is no terminal at which the approval PIN could be asked', { hint: 'Run it at a terminal' });
  try {
    const typed = await person.ask(question, { signal, hidden: true });
    if (typed === null || typed === '') throw ValetkeyError.local('cancelled', 'nothing was typed');
    return typed;
  } finally {
    person.close();
  }
}
