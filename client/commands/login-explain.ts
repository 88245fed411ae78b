/** `login --explain`: which sign-in it would be and why, and what would change it. Starts none, and asks no issuer. */
import type { LoginExplanation, LoginQuestion } from '../../shared/explain-schemas.ts';
import type { CommandContext } from '../command.ts';
import { changeWords, factRows, outcomeWords } from '../explain-words.ts';
import type { Terminal } from '../terminal.ts';

const heading = (terminal: Terminal, text: string): void => {
  terminal.line('');
  terminal.line(text);
};

/** With the label in front, a line stays within 80 columns. */
const ROOM = 68;

/** Rows of one label. */
function wrapped(label: string, text: string): readonly (readonly [string, string])[] {
  const lines = text.split(' ').reduce<readonly string[]>((before, word) => {
    const last = before.at(-1);
    return last === undefined || last.length + 1 + word.length > ROOM ? [...before, word] : [...before.slice(0, -1), `${last} ${word}`];
  }, []);
  return lines.map((line, at) => [at === 0 ? label : '', line]);
}

/** Alike ends together, ways to sign in before refusals, else in the order in which a person could change them. */
function byEnd(changes: LoginExplanation['changes']): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const change of [...changes.filter(({ outcome }) => outcome !== 'refuse'), ...changes.filter(({ outcome }) => outcome === 'refuse')]) {
    const end = outcomeWords(change);
    groups.set(end, [...(groups.get(end) ?? []), `${changeWords(change)}${change.outcome === 'refuse' ? ` (${change.reason})` : ''}`]);
  }
  return groups;
}

export function showExplanation(terminal: Terminal, told: LoginExplanation): void {
  terminal.facts([
    ['Profile', `${told.profile}, at ${new URL(told.issuer).host}`],
    ['Sign-in', outcomeWords(told)],
    ['Because', `rule ${told.rule}, ${told.reason}`],
    ...(told.policy_rule === null ? [] : [['Policy', `rule ${told.policy_rule}`] as const]),
    ...(told.hint === null ? [] : wrapped('Next', told.hint)),
  ]);
  heading(terminal, 'What is seen of this session');
  terminal.facts(factRows(told.input).map(([name, value]) => [`  ${name}`, value]));
  if (told.changes.length > 0) heading(terminal, 'What would change it');
  for (const [end, ways] of byEnd(told.changes)) {
    terminal.line(`  ${end[0]?.toUpperCase() ?? ''}${end.slice(1)}`);
    for (const way of ways) terminal.line(`    ${way}`);
  }
}

export async function explainLogin({ daemon, terminal, signal }: CommandContext, request: LoginQuestion): Promise<void> {
  const told = await daemon.api.explainLogin(request, signal);
  if (terminal.json) terminal.document(told);
  else showExplanation(terminal, told);
}
