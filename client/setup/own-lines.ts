/**
 * Lines of ours in a file of somebody else's: between two comments that say whose they are, with a digest of what stands
 * between, so that they are found again, replaced and taken out exactly, and lines that a person changed are not.
 */
import { createHash } from 'node:crypto';
import { conflict } from './edit.ts';

/** What they are for: tool, profile and server. */
export type Purpose = { readonly tool: string; readonly profile: string; readonly url: string };

const MARK = /^# valetkey setup (\S+) --profile (\S+) --url (\S+)/gm;

const words = ({ tool, profile, url }: Purpose): string => `valetkey setup ${tool} --profile ${profile} --url ${url}`;
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
const isFor = (tool: string, profile: string, url: string | null) => (each: Purpose): boolean => each.tool === tool && each.profile === profile && (url === null || each.url === url);

/** Whatever of ours stands in the text. */
export function purposesIn(text: string): readonly Purpose[] {
  const found = [...text.matchAll(MARK)].map(([, tool = '', profile = '', url = '']) => ({ tool, profile, url }));
  return found.filter((each, at) => found.findIndex((other) => words(other) === words(each)) === at);
}

function blockOf(purpose: Purpose, lines: readonly string[]): string {
  const text = `${lines.join('\n')}\n`;
  return `# ${words(purpose)} (${digestOf(text)})\n${text}# end of ${words(purpose)}\n`;
}

/** @throws ValetkeyError setup_conflict where a person changed it */
function withoutOne(path: string, text: string, purpose: Purpose): string {
  const start = text.indexOf(`# ${words(purpose)} (`);
  if (start < 0) return text;
  const inner = text.indexOf('\n', start) + 1;
  const end = `# end of ${words(purpose)}\n`;
  const stop = text.indexOf(end, inner);
  const digest = /\(([0-9a-f]{12})\)\n$/.exec(text.slice(start, inner))?.[1];
  if (inner === 0 || stop < 0 || digest !== digestOf(text.slice(inner, stop))) throw conflict(`the lines of ${words(purpose)} in ${path} were changed by hand`, `Take them out of ${path} yourself`);
  return text.slice(0, start) + text.slice(stop + end.length);
}

/** At the end of the file: tools that take the last of several take this one. */
export function withLines(path: string, before: string | null, purpose: Purpose, lines: readonly string[]): string {
  const text = before ?? '';
  const block = blockOf(purpose, lines);
  if (text.includes(block)) return text;
  const others = withoutOne(path, text, purpose);
  return `${others}${others === '' || others.endsWith('\n') ? '' : '\n'}${block}`;
}

/** Null where nothing else is left. `url` null: for whatever server. */
export function withoutLines(path: string, before: string | null, { tool, profile, url }: Omit<Purpose, 'url'> & { readonly url: string | null }): string | null {
  if (before === null) return null;
  const ours = purposesIn(before).filter(isFor(tool, profile, url));
  const after = ours.reduce((text, purpose) => withoutOne(path, text, purpose), before);
  return after === '' && ours.length > 0 ? null : after;
}

const HEAD = '#!/bin/sh\n';

/** A program of ours in a file of its own. */
export function scriptText(purpose: Purpose, command: string): string {
  return HEAD + blockOf(purpose, [command]);
}

/** @throws ValetkeyError setup_conflict where another program stands there, or it was changed */
export function withScript(path: string, before: string | null, purpose: Purpose, command: string): string {
  const wanted = scriptText(purpose, command);
  if (before === null || before === wanted) return wanted;
  const ours = purposesIn(before).filter(({ tool, profile }) => tool === purpose.tool && profile === purpose.profile);
  const [other] = ours.filter(({ url }) => url !== purpose.url);
  if (other !== undefined) throw conflict(`${path} is for ${other.url}, and a program is for one server`, `Take a profile of its own for ${purpose.url}, or undo that first: valetkey setup ${other.tool} --profile ${other.profile} --undo`);
  const rest = ours.reduce((text, each) => withoutOne(path, text, each), before);
  if (ours.length === 0 || rest !== HEAD) throw conflict(`${path} is a program that valetkey setup did not write`, `See: cat ${path}`);
  return wanted;
}

/** @throws ValetkeyError setup_conflict where it was changed */
export function withoutScript(path: string, before: string | null, purpose: Omit<Purpose, 'url'> & { readonly url: string | null }): string | null {
  if (before === null || !purposesIn(before).some(isFor(purpose.tool, purpose.profile, purpose.url))) return before;
  const rest = withoutLines(path, before, purpose);
  if (rest !== HEAD) throw conflict(`${path} was changed by hand`, `If you do not need it: rm ${path}`);
  return null;
}
