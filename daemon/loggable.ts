/**
 * What may stand in the log. Fields are rebuilt from what LogFields allows and nothing else of a value gets
 * through; text is cleaned (core/text.ts) and searched for what has the shape of a secret. The search is a
 * net, not a licence: no secret is ever meant to come here. It prefers to replace too much.
 */
import { Secret } from './core/secret.ts';
import { cleanText } from './core/text.ts';

type Loggable = string | number | boolean | null | readonly string[];

const HIDDEN = '[secret]';
const MAX_TEXT = 500;
const MAX_FIELDS = 64;

/** Never shown under these names, whatever the value. */
const ALWAYS = /^(?:access_token|refresh_token|id_token|user_code|device_code|code_verifier|client_secret|client_assertion|assertion|password|passphrase|authorization|(?:set-)?cookie)$/i;
/** Shown under these names only if it is a word, such as an error code or the name of a state. */
const SUSPECT = /(?:^|[_-])(?:token|code|state|nonce|secret|verifier|challenge|assertion|cookie|proof|ticket|request_uri)$/i;
/** Names of values that are digests by design. */
const DIGEST = /(?:digest|hash|sha256|fingerprint|thumbprint|commit|build)$/i;
const WORD = /^(?:[a-z]+(?:_[a-z0-9]+)*|[A-Z_]{1,24}|\d{1,5}|\[secret\])$/;

const JWT = /eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*/g;
const VENDOR = /\b(?:gh[opsur]_|github_pat_|gl(?:pat|oas|soat)-|ya29\.|1\/\/|xox[abprs]-|ATATT)[A-Za-z0-9._~+/-]{10,}/g;
const SCHEME = /\b(Bearer|DPoP|Basic)(\s+)([A-Za-z0-9._~+/=-]{8,})/gi;
const NAMES = 'token|code|state|nonce|secret|verifier|challenge|assertion|cookie|password|passphrase|authorization|proof|ticket|request_uri';
const PAIR = new RegExp(`\\b([a-z_-]{0,24}(?:${NAMES}))(["']?\\s*[=:]\\s*["']?)([^\\s"'&,;}]+)`, 'gi');
/** In a URL the value under such a name is hidden even if it is a word. */
const QUERY = new RegExp(`([?&#][a-z_-]{0,24}(?:${NAMES})=)[^&#\\s"']+`, 'gi');
/** 43 characters are 32 random bytes: the least that a verifier, a state and most tokens have. */
const RUN = /[A-Za-z0-9_+-]{40,}/g;

/** pino's own keys, those of the log, and one that would make pino take the fields for a Node request. */
const TAKEN = new Set(['level', 'time', 'event', 'cause', 'headers', 'lines_lost']);

export function loggableFields(fields: Readonly<Record<string, unknown>>): Record<string, Loggable> {
  const entries = Object.entries(fields).slice(0, MAX_FIELDS);
  return Object.fromEntries(entries.map(([name, value]) => {
    const key = loggableText('name', name).slice(0, 64);
    return [TAKEN.has(key) ? `${key}_` : key, loggableValue(key, value)];
  }));
}

function loggableValue(key: string, value: unknown): Loggable {
  if (value instanceof Secret || ALWAYS.test(key)) return HIDDEN;
  if (typeof value === 'string') return loggableText(key, value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean' || value === null) return value;
  if (Array.isArray(value)) return value.slice(0, MAX_FIELDS).map((item) => (typeof item === 'string' ? loggableText(key, item) : '[omitted]'));
  return '[omitted]';
}

/** @param key - what the text is called; names such as `state` make the search stricter. */
export function loggableText(key: string, text: string): string {
  // What is longer is cut before a word, so that no half of a secret is left that nothing recognises.
  const whole = text.length > MAX_TEXT * 8 ? text.slice(0, MAX_TEXT * 8).replace(/\S*$/, '') : text;
  // Before and after cleaning: an escape sequence may split a secret, and taking it out may join one.
  const clean = hideSecrets(key, cleanText(hideSecrets(key, whole), MAX_TEXT * 8));
  if (SUSPECT.test(key) && !WORD.test(clean)) return HIDDEN;
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT - 1)}…` : clean;
}

function hideSecrets(key: string, text: string): string {
  return text
    .replace(JWT, HIDDEN)
    .replace(VENDOR, HIDDEN)
    .replace(SCHEME, (all, scheme: string, gap: string, value: string) => (WORD.test(value) ? all : `${scheme}${gap}${HIDDEN}`))
    .replace(QUERY, (_, name: string) => `${name}${HIDDEN}`)
    .replace(PAIR, (all, name: string, mark: string, value: string) =>
      (ALWAYS.test(name) || (SUSPECT.test(name) && !WORD.test(value)) ? `${name}${mark}${HIDDEN}` : all))
    .replace(RUN, (run) => (looksRandom(run, key) ? HIDDEN : run));
}

function looksRandom(run: string, key: string): boolean {
  if (/[a-z]/.test(run) && /[A-Z]/.test(run) && /[0-9]/.test(run)) return true;
  if (DIGEST.test(key)) return false;
  return run.split(/[-_]/).some((part) => part.length >= 32 && /[0-9]/.test(part));
}

/** Names, codes and cleaned messages of an error and its causes; no stack and no other property. */
export function causeChain(cause: unknown): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  const queue = [cause];
  while (queue.length > 0 && lines.length < 8) {
    const error = queue.shift();
    if (error === undefined || error === null || seen.has(error)) continue;
    seen.add(error);
    lines.push(describe(error));
    if (error instanceof AggregateError) queue.push(...error.errors.slice(0, 4));
    if (error instanceof Error) queue.push(error.cause);
  }
  return lines;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? loggableText('cause', error) : `[${typeof error}]`;
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? ` ${loggableText('code', String(error.code))}` : '';
  return `${loggableText('name', error.name)}${code}: ${loggableText('cause', error.message)}`;
}
