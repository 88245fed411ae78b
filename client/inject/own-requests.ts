/**
 * Whether a request comes from the program that was run: it bears the key of this run, by any of the headers in which
 * programs send their API keys, it names this very listener, and its process is one that this one has started.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ValetkeyError } from '../valetkey-error.ts';

/** Of OpenAI and most others, Anthropic, Azure, Google. */
const KEY_HEADERS = ['x-api-key', 'api-key', 'x-goog-api-key'] as const;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function keysIn(headers: IncomingHttpHeaders): readonly string[] {
  const [, bearer] = /^Bearer +([\x21-\x7e]+)$/i.exec(headers.authorization ?? '') ?? [];
  return [...(bearer === undefined ? [] : [bearer]), ...KEY_HEADERS.flatMap((name) => (typeof headers[name] === 'string' ? [headers[name]] : []))];
}

export function refused(why: string, reason: 'key' | 'host' | 'process' | 'request'): ValetkeyError {
  return ValetkeyError.local('inject_refused', why, { reason });
}

/** @param host - what Host has to be; null: a socket has no name. @throws ValetkeyError inject_refused */
export function demandOwn(headers: IncomingHttpHeaders, key: string, host: string | null): void {
  // A page of a browser whose name was turned to this machine comes with that name (DNS rebinding).
  if (host !== null && headers.host !== host) throw refused(`the request is for another host than ${host}`, 'host');
  const own = digest(key);
  if (!keysIn(headers).some((each) => timingSafeEqual(digest(each), own))) throw refused('the request does not bear the key of this run', 'key');
}
