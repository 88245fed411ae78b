import { userInfo } from 'node:os';
import type { WhoamiReply } from '../../shared/whoami-schemas.ts';
import { examples } from '../command.ts';
import type { Declare } from '../command.ts';
import type { Terminal } from '../terminal.ts';

/** With the label in front, a line stays within 80 columns. */
const ROOM = 66;

const yes = (is: boolean): string => (is ? 'yes' : 'no');

/** The end of a path tells more than its beginning. */
function fitted(text: string, room: number): string {
  return text.length <= room ? text : `…${text.slice(text.length - room + 1)}`;
}

function userName(uid: number): string {
  const own = userInfo();
  return own.uid === uid ? `${own.username} (${uid})` : String(uid);
}

function facts(seen: WhoamiReply, room: number): readonly (readonly [string, string])[] {
  const path = (value: string | null, none: string): string => (value === null ? none : fitted(value, room));
  return [
    ['Program', path(seen.program.script ?? seen.program.executable, '(cannot be read)')],
    ...(seen.program.script === null ? [] : [['Runs under', path(seen.program.executable, '(cannot be read)')] as const]),
    ['SHA-256', seen.digest ?? '(the executable cannot be read)'],
    ['Class', seen.class],
    ['Because', seen.class_reason],
    ...(seen.agent === null ? [] : [['Agent', seen.agent] as const]),
    ['User', userName(seen.uid)],
    ['Terminal', seen.terminal === null ? 'none' : `${seen.terminal.name}, ${seen.terminal.foreground ? 'in front' : 'in the background'}`],
    ['Unit', path(seen.unit, 'none')],
    ['Left behind', yes(seen.orphan)],
    ['Container', yes(seen.container)],
    ['Remote', yes(seen.remote)],
    ['Forwarded', yes(seen.forwarded)],
  ];
}

/** The first of the machine on top, and who asks below all others. */
function tree({ pid, executable, script, lineage }: WhoamiReply, room: number): readonly string[] {
  const own = { pid, name: null, executable, script };
  return [...lineage.toReversed(), own].map((link, depth) => {
    const indent = depth === 0 ? '' : `${'  '.repeat(Math.min(depth, 12) - 1)}└ `;
    const what = link.script ?? link.executable ?? link.name ?? '(cannot be read)';
    const head = `${indent}${link.pid} `;
    return `  ${head}${fitted(what, Math.max(12, room - head.length))}`;
  });
}

export function showWhoami(terminal: Terminal, seen: WhoamiReply): void {
  terminal.facts(facts(seen, ROOM));
  terminal.line('');
  terminal.line('Started by, the first of the machine on top:');
  for (const line of tree(seen, ROOM + 10)) terminal.line(line);
}

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', examples('valetkey whoami', 'valetkey whoami --json'))
    .action(async () => {
      const { terminal, daemon, signal } = context;
      const seen = await daemon.api.whoami(signal);
      if (terminal.json) terminal.document(seen);
      else showWhoami(terminal, seen);
    });
};
