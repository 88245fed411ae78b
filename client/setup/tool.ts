/** What a tool that can be set up is made of: its files, and what a person should know afterwards. */
import type { Env } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import type { Edit } from './edit.ts';

export type Place = {
  /** Where the tool looks for its files. */
  readonly home: string;
  readonly env: Env;
};

export type Ask = Place & {
  readonly profile: string;
  /** The only server that is given a token. */
  readonly url: string;
  readonly origin: string;
  /** Of AWS: the role. */
  readonly role: string | null;
  /** Absolute path of the program that the tool calls. */
  readonly valetkey: string;
};

/** `url` null: whatever was set up for the profile. */
export type Undo = Place & { readonly profile: string; readonly url: string | null; readonly origin: string | null };

export type Tool = {
  readonly name: string;
  readonly title: string;
  /** The program by which one tells that it is installed. */
  readonly program: string;
  /** In the order in which they are written: nothing names a file that is not there yet. */
  readonly edits: (ask: Ask) => readonly Edit[];
  readonly undo: (undo: Undo) => readonly Edit[];
  /** Files that may hold something of ours. */
  readonly places: (place: Place) => readonly string[];
  /** What is left to a person, or good to know. */
  readonly next: (ask: Ask) => readonly string[];
};

/** A word of a command line for sh(1). */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export function helperCommand({ valetkey, profile, origin }: Ask, kind: string, more: readonly string[] = []): string {
  return [valetkey, 'credential', kind, '--profile', profile, '--url', origin, ...more].map(shellWord).join(' ');
}

/** From the environment where it is an absolute path, as tools want it. */
export function fileFrom({ env }: Place, name: string, usual: string): string {
  const named = env[name];
  return named?.startsWith('/') === true ? named : usual;
}

export function hostOf(url: string): string {
  return new URL(url).host;
}

/** A path that every tool's file can hold. @throws ValetkeyError bad_request */
export function demandPlain(path: string): void {
  if (/["'\\]/.test(path) || [...path].some((letter) => letter < ' ' || letter === '\u007f')) throw ValetkeyError.local('bad_request', `a path with quotes or line breaks cannot be written to the file of a tool: ${JSON.stringify(path)}`, { hint: 'Install valetkey elsewhere, or use a home directory of another name' });
}
