/** The formats of the files, each read into plain nested values. What cannot be read is null; nothing throws. */
import { parse as parseToml } from 'smol-toml';
import type { Format } from './finder.ts';
import { readYaml } from './yaml-ish.ts';

const ENTRIES_MAX = 5_000;

function table(): Record<string, unknown> {
  return Object.create(null);
}

function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return null; // RangeError of a nest too deep, SyntaxError, TomlError: the file is not what it should be
  }
}

/** npm's and Python's dialects: what stands before the first section is at the top. */
function readIni(text: string): unknown {
  const top = table();
  let section = top;
  for (const raw of text.split('\n', 50_000)) {
    const line = raw.trim();
    const head = /^\[(.+)\]$/.exec(line)?.[1];
    if (head !== undefined) {
      section = table();
      top[head] = section;
      continue;
    }
    const at = line.indexOf('=');
    if (at < 1 || /^[#;]/.test(line)) continue;
    section[line.slice(0, at).trim()] = line.slice(at + 1).trim().replace(/^"(.*)"$/, '$1');
  }
  return top;
}

function readNetrc(text: string): unknown {
  const entries: Record<string, unknown>[] = [];
  const words = text.split('\n', 50_000).filter((line) => !line.trimStart().startsWith('#')).join('\n').split(/\s+/, 50_000);
  for (let i = 0; i < words.length && entries.length < ENTRIES_MAX; i += 1) {
    const word = words[i] ?? '';
    const next = words[i + 1] ?? '';
    const entry = entries.at(-1);
    if (word === 'machine') entries.push(Object.assign(table(), { machine: next }));
    else if (word === 'default') entries.push(Object.assign(table(), { machine: 'default' }));
    else if (['login', 'password', 'account'].includes(word) && entry !== undefined) entry[word] = next;
    if (['machine', 'login', 'password', 'account'].includes(word)) i += 1;
  }
  return entries;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** One URL a line. With the password x-oauth-basic, or none, the user name is the secret. */
function readUrls(text: string): unknown {
  return text.split('\n', ENTRIES_MAX).flatMap((line) => {
    const url = URL.canParse(line.trim()) ? new URL(line.trim()) : null;
    if (url === null || url.username === '') return [];
    const [user, password] = [decoded(url.username), decoded(url.password)];
    const isSwapped = password === '' || password === 'x-oauth-basic';
    return [Object.assign(table(), { host: url.host, ...(isSwapped ? { password: user } : { user, password }) })];
  });
}

/**
 * The text column before a long one in a record of SQLite: its length stands in the header, three bytes before it. What
 * stands before the text may be letters as well, so the length decides where it begins.
 */
function columnBefore(text: string, end: number): string | null {
  for (let length = 57; length >= 3; length -= 1) {
    const column = text.slice(Math.max(0, end - length), end);
    if (text.charCodeAt(end - length - 3) === 13 + 2 * length && /^[\w.+-]+@[\w.-]+$/.test(column)) return column;
  }
  return null;
}

/**
 * gcloud keeps JSON objects as text in a table of SQLite, each after the name of its account. They are looked for in
 * the bytes: what was deleted and not yet overwritten is found as well, and that is a secret on the disk, too.
 */
function readSqlite(bytes: Buffer): unknown {
  const text = bytes.toString('latin1');
  if (!text.startsWith('SQLite format 3\0')) return null;
  const found: Record<string, unknown>[] = [];
  for (let at = text.indexOf('"refresh_token"'); at >= 0 && found.length < ENTRIES_MAX; at = text.indexOf('"refresh_token"', at + 1)) {
    const [start, end] = [text.lastIndexOf('{', at), text.indexOf('}', at)];
    if (start < 0 || end < 0 || end - start > 16_384) continue;
    const value = attempt(() => JSON.parse(text.slice(start, end + 1)));
    const account = columnBefore(text, start);
    if (typeof value === 'object' && value !== null) found.push({ ...value, ...(account === null ? {} : { account_id: account }) });
  }
  return found;
}

export function readFormat(format: Format, bytes: Buffer): unknown {
  if (format === 'sqlite') return readSqlite(bytes);
  const text = bytes.toString('utf8').replace(/^\ufeff/, '').replaceAll('\r\n', '\n');
  switch (format) {
    case 'json': return attempt(() => JSON.parse(text));
    // JSON is YAML, and kubectl takes both.
    case 'yaml': return text.trimStart().startsWith('{') ? attempt(() => JSON.parse(text)) : readYaml(text);
    case 'toml': return attempt(() => parseToml(text));
    case 'ini': return readIni(text);
    case 'netrc': return readNetrc(text);
    case 'urls': return readUrls(text);
    case 'text': return text.trim();
  }
}
