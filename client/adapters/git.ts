/**
 * git's credential protocol (gitcredentials(7), git-credential(1)): lines of `key=value` in, lines out. A helper is asked
 * for one origin and answers for no other; what it gives has an end, so that git does not use it beyond, and the
 * name `ephemeral` where git knows it, so that no other helper keeps it.
 */
import type { PrintedFacts } from '../format-token.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export const GIT_OPERATIONS = ['get', 'store', 'erase'] as const;

/** What git tells of a request. */
export type GitAsk = {
  /** Null where git names none, or one that is none. */
  readonly origin: string | null;
  readonly username: string | null;
  /** What git has used, where it was refused or taken. */
  readonly used: string | null;
  /** Whether git can send a scheme and credential that the helper names (git 2.46). */
  readonly knowsSchemes: boolean;
  /** Schemes that the server offers, in lower case; git tells them since 2.41. */
  readonly offered: readonly string[];
};

/** @throws ValetkeyError bad_request for lines that git never writes */
export function readGitAsk(text: string): GitAsk {
  const single = new Map<string, string>();
  const lists = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    // An empty line is the end.
    if (line === '') break;
    const at = line.indexOf('=');
    if (at <= 0) throw ValetkeyError.local('bad_request', 'standard input holds a line that is no key=value of git\'s', { hint: 'git calls this by itself: see git help credentials' });
    const [key, value] = [line.slice(0, at), line.slice(at + 1)];
    if (!key.endsWith('[]')) single.set(key, value);
    // Nothing takes back what was listed before (git-credential(1), INPUT/OUTPUT FORMAT).
    else if (value === '') lists.delete(key);
    else lists.set(key, [...(lists.get(key) ?? []), value]);
  }
  return {
    origin: originOf(single),
    username: single.get('username') ?? null,
    used: single.get('credential') ?? single.get('password') ?? null,
    knowsSchemes: lists.get('capability[]')?.includes('authtype') === true,
    offered: (lists.get('wwwauth[]') ?? []).map((header) => header.trim().split(/\s/, 1)[0]?.toLowerCase() ?? ''),
  };
}

function originOf(told: ReadonlyMap<string, string>): string | null {
  const [protocol, host] = [told.get('protocol'), told.get('host')];
  if (protocol === undefined || host === undefined) return null;
  try {
    const url = new URL(`${protocol}://${host}`);
    // A host is a host: whatever else stands in it would be taken for one by somebody, and for something else by another.
    return url.host === host.toLowerCase() || `${url.host}:443` === host.toLowerCase() ? url.origin : null;
  } catch {
    return null; // no host of any URL
  }
}

/** Bearer (RFC 6750) where the server offers it and git can send it; else Basic, which forges take a token by as a password. */
export function answerGit(ask: GitAsk, token: PrintedFacts, username: string): string {
  const isBearer = ask.knowsSchemes && ask.offered.includes('bearer');
  return [
    ...(isBearer
      ? ['capability[]=authtype', 'authtype=Bearer', `credential=${token.access_token}`, 'ephemeral=true']
      : [`username=${ask.username ?? username}`, `password=${token.access_token}`]),
    `password_expiry_utc=${token.expires_at}`, '',
  ].join('\n');
}
