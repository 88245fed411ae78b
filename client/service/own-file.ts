/**
 * Files that `valetkey service install` writes, and nothing else: each says in a comment of its own line that it did, with a
 * digest of the rest. So what a person wrote or changed by hand is told from what we wrote, and is neither
 * overwritten nor removed.
 */
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { ValetkeyError } from '../valetkey-error.ts';

export type OwnFile =
  | { readonly kind: 'text'; readonly path: string; readonly text: string; readonly mode: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

/** `ours` as it would be written now; `older`: as it was written then. */
export type FileState = 'absent' | 'ours' | 'older' | 'edited' | 'foreign';

const MARK = /^(?:#|<!--) Written by: valetkey service install \((\w{64})\)\. Undone by: valetkey service uninstall\.?(?: -->)?$/m;

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The text with its mark: the first line, or the second of an XML document. */
export function marked(text: string, form: 'hash' | 'xml'): string {
  const words = `Written by: valetkey service install (${digestOf(text)}). Undone by: valetkey service uninstall`;
  if (form === 'hash') return `# ${words}\n${text}`;
  const end = text.indexOf('\n') + 1;
  return `${text.slice(0, end)}<!-- ${words} -->\n${text.slice(end)}`;
}

function textState(path: string, wanted: string): FileState {
  const text = readFileSync(path, 'utf8');
  const [line, digest] = MARK.exec(text) ?? [];
  if (line === undefined) return 'foreign';
  if (digestOf(text.replace(`${line}\n`, '')) !== digest) return 'edited';
  return text === wanted ? 'ours' : 'older';
}

/** One to the same unit in another place is an earlier one, or that of systemctl enable. */
function linkState(target: string, wanted: string): FileState {
  if (target === wanted) return 'ours';
  return basename(target) === basename(wanted) ? 'older' : 'foreign';
}

/** Looks at the path itself and follows no link. */
export function stateOf(file: OwnFile): FileState {
  const found = lstatSync(file.path, { throwIfNoEntry: false });
  if (found === undefined) return 'absent';
  if (file.kind === 'link') return found.isSymbolicLink() ? linkState(readlinkSync(file.path), file.target) : 'foreign';
  return found.isFile() ? textState(file.path, file.text) : 'foreign';
}

/** @throws ValetkeyError `service_foreign` for the first one that is not ours to touch; nothing was changed then. */
export function demandOwn(files: readonly OwnFile[]): void {
  for (const file of files) {
    const state = stateOf(file);
    if (state === 'foreign') throw ValetkeyError.local('service_foreign', `${file.path} was not written by valetkey service install`);
    if (state === 'edited') {
      throw ValetkeyError.local('service_foreign', `${file.path} was changed by hand since`, { hint: `Keep your changes elsewhere (systemctl --user edit valetkeyd), then run: rm ${file.path}` });
    }
  }
}

/** As a whole or not at all. @returns whether anything changed. */
export function writeOwn(file: OwnFile): boolean {
  if (stateOf(file) === 'ours') return false;
  mkdirSync(dirname(file.path), { recursive: true });
  const next = `${file.path}.${randomBytes(6).toString('hex')}`;
  if (file.kind === 'link') symlinkSync(file.target, next);
  else writeFileSync(next, file.text, { mode: file.mode, flag: 'wx' });
  renameSync(next, file.path);
  return true;
}

/** Also directories above it that are empty by now, up to `base`, which stays. @returns whether it was there. */
export function removeOwn(file: OwnFile, base: string): boolean {
  if (stateOf(file) === 'absent') return false;
  rmSync(file.path);
  for (let directory = dirname(file.path); directory.startsWith(`${base}/`); directory = dirname(directory)) {
    try {
      rmdirSync(directory);
    } catch {
      return true; // not empty: somebody else's things are there
    }
  }
  return true;
}
