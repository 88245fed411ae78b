/** The unit files and the agent as they ship, with this machine's paths in the place of the package's. Pure. */
import { cleanText } from '../clean-text.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import type { ServiceProgram } from './program.ts';

/** Where files are that the login has moved; a user manager may not know of it. */
export type Moved = Readonly<Record<string, string>>;

/** systemd.syntax(7) and systemd.service(5), "command lines": quoted, with nothing left that would be replaced. */
function unitWord(word: string, isProgram: boolean): string {
  if (cleanText(word, Infinity) !== word) throw ValetkeyError.local('service_unavailable', `a path with a control character cannot be written into a unit: ${JSON.stringify(word)}`);
  const plain = word.replaceAll('%', '%%').replaceAll('$', isProgram ? '$' : '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(plain) ? plain : `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** @param template - systemd/valetkeyd.service */
export function serviceUnit(template: string, { node, flags, program }: Pick<ServiceProgram, 'node' | 'flags' | 'program'>, moved: Moved): string {
  const start = [node, ...flags, program].map((word, i) => unitWord(word, i === 0)).join(' ');
  const environment = Object.entries(moved).map(([name, value]) => `Environment=${unitWord(`${name}=${value}`, true)}\n`).join('');
  const filled = template.replace(/^ExecStart=.*\n/m, () => `ExecStart=${start}\n${environment === '' ? '' : `# As it is in the login from which the service was installed.\n${environment}`}`);
  if (filled === template && !template.includes(`ExecStart=${start}\n`)) throw new Error('the unit has no ExecStart');
  return filled;
}

/** The first and the last word of ExecStart, as serviceUnit() or a package writes it. */
export function startOf(unit: string): { readonly node: string; readonly program: string } | null {
  const line = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? '';
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) => (quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '').replaceAll('%%', '%'));
  const [node, program] = [words[0], words.at(-1)?.replaceAll('$$', '$')];
  return node?.startsWith('/') === true && program?.startsWith('/') === true ? { node, program } : null;
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** @param template - launchd/dev.valetkey.agent.plist, with @NAME@ where a place belongs */
export function agentPlist(template: string, { node, flags, program }: Pick<ServiceProgram, 'node' | 'flags' | 'program'>, places: { readonly socket: string; readonly log: string }): string {
  const words = [node, ...flags, program].map((word) => `    <string>${xml(word)}</string>`).join('\n');
  return template.replace(/ *<string>@PROGRAM@<\/string>/, () => words).replaceAll('@SOCKET@', () => xml(places.socket)).replaceAll('@LOG@', () => xml(places.log));
}
