/** `login --explain`: which sign-in it would be and why, and what would change it. Starts none, and asks no issuer. */
import type { LoginExplanation, LoginQuestion } from '../../shared/explain-schemas.ts';
import type { CommandContext } from '../command.ts';
import { changeWords, factRows, outcomeWords } from '../explain-words.ts';
import { fold } from '../fold.ts';
import type { Terminal } from '../terminal.ts';

const heading = (terminal: Terminal, text: string): void => {
  terminal.line('');
  terminal.line(text);
};

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
    ...(told.hint === null ? [] : [['Next', told.hint] as const]),
  ]);
  heading(terminal, 'What is seen of this session');
  terminal.facts(factRows(told.input).map(([name, value]) => [`  ${name}`, value]));
  if (told.changes.length > 0) heading(terminal, 'What would change it');
  for (const [end, ways] of byEnd(told.changes)) {
    for (const [indent, text] of [[2, `${end[0]?.toUpperCase() ?? ''}${end.slice(1)}`] as const, ...ways.map((way) => [4, way] as const)]) {
      for (const line of fold(text, indent, terminal.columns).split('\n')) terminal.line(`${' '.repeat(indent)}${line.trimStart()}`);
    }
  }
}

export async function explainLogin({ daemon, terminal, signal }: CommandContext, request: LoginQuestion): Promise<void> {
  const told = await daemon.api.explainLogin(request, signal);
  if (terminal.json) terminal.document(told);
  else showExplanation(terminal, told);
}
