/** Paths of finders on this machine: variables and the home directory filled in, stars matched against what is there. */
import { opendir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

export type Where = { readonly home: string; readonly env: Readonly<Record<string, string | undefined>> };

/** A directory of a million names is looked at this far. */
const NAMES_MAX = 2_000;
const PATHS_MAX = 500;

/** `${VAR:-default}` at the start, whose default may hold another. A variable may list several paths, as KUBECONFIG does. */
export function fillIn(path: string, where: Where): readonly string[] {
  const variable = /^\$\{(\w+):-(.+)\}([^}]*)$/.exec(path);
  if (variable === null) return [path.startsWith('~/') ? join(where.home, path.slice(2)) : path].filter(isAbsolute);
  const [, name = '', fallback = '', rest = ''] = variable;
  const set = (where.env[name] ?? '').split(':').filter(isAbsolute);
  return set.length > 0 ? set.map((each) => `${each}${rest}`) : fillIn(`${fallback}${rest}`, where);
}

/** @returns what the one `*` of the pattern stands for; null where the text does not match */
export function starOf(pattern: string, text: string): string | null {
  const at = pattern.indexOf('*');
  if (at < 0) return null;
  const [head, tail] = [pattern.slice(0, at), pattern.slice(at + 1)];
  return text.length >= head.length + tail.length && text.startsWith(head) && text.endsWith(tail) ? text.slice(at, text.length - tail.length) : null;
}

/** What the last star of a pattern stands for in a path that came of it. */
export function starOfPath(pattern: string, path: string): string | null {
  const names = path.split('/').toReversed();
  const parts = pattern.split('/').toReversed();
  const at = parts.findIndex((part) => part.includes('*'));
  return at < 0 ? null : starOf(parts[at] ?? '', names[at] ?? '');
}

async function namesIn(directory: string): Promise<readonly string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(directory)) {
      if (names.length === NAMES_MAX) break;
      names.push(name);
    }
  } catch {
    return names; // absent, no directory, or closed to us: nothing of this user's is found there
  }
  return names.toSorted();
}

/** Every path that a pattern stands for; without a star it is not looked whether it is there. */
export async function expandPath(path: string, where: Where): Promise<readonly string[]> {
  const all = await Promise.all(fillIn(path, where).map(async (each) => {
    let found: readonly string[] = ['/'];
    for (const part of each.split('/').filter((name) => name !== '')) {
      const next = await Promise.all(found.map(async (base) => (part.includes('*')
        ? (await namesIn(base)).filter((name) => starOf(part, name) !== null).map((name) => join(base, name))
        : [join(base, part)])));
      found = next.flat().slice(0, PATHS_MAX);
    }
    return found;
  }));
  return [...new Set(all.flat())];
}
