/**
 * What a caller may have sent with a token that it does not get: where to, by which method, with which headers. All of
 * it is on a list, the profile's or the one here; what is on none is refused and not dropped, so that nobody wonders.
 */
import type * as v from 'valibot';
import { FETCH_HEADERS } from '../../../shared/fetch-headers.ts';
import type { fetchRequest } from '../../../shared/fetch-schemas.ts';
import type { Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';

type Body = v.InferOutput<typeof fetchRequest>;

export type Wanted = { readonly url: URL; readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array | null };

const NOT_IN_A_URL = /[^\x21-\x5b\x5d-\x7e]/;
/** RFC 9110, section 5.5, as far as ASCII goes: nothing that ends a line, or that two readers would take for two things. */
const FIELD_VALUE = /^[\x20-\x7e\t]*$/;

const refused = (why: string, reason: string, hint?: string): BrokerError => new BrokerError('fetch_refused', why, { reason, ...(hint === undefined ? {} : { hint }) });

/** @throws BrokerError fetch_refused, bad_request */
export function wantedOf(profile: Profile, asked: Body): Wanted {
  const { fetch: terms } = profile;
  const url = urlOf(asked.url);
  if (!terms.origins.includes(url.origin)) {
    throw refused(`the token of ${profile.name} is for ${terms.origins.join(' and ') || 'no origin that its profile names'}, and not for ${url.origin}`, 'origin', `If it may go there, name it in the profile: fetch_origins = ["${url.origin}"]`);
  }
  const { method = 'GET' } = asked;
  if (!terms.methods.includes(method)) throw refused(`the profile ${profile.name} lets ${terms.methods.join(', ')} be sent, and not ${method}`, 'method', `If it may, say so in the profile: fetch_methods = ["${[...terms.methods, method].join('", "')}"]`);
  return { url, method, headers: headersOf(profile, asked.headers ?? {}), body: bodyOf(asked, method) };
}

function urlOf(text: string): URL {
  // URL parsing would strip or re-spell them in silence, and what was checked would not be what was meant.
  if (NOT_IN_A_URL.test(text) || !URL.canParse(text)) throw new BrokerError('bad_request', 'url is no URL such as https://api.example.com/me, in ASCII', { hint: 'Encode what is no letter or digit: %20' });
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw refused('the URL holds a name or password', 'url');
  if (text.includes('#')) throw new BrokerError('bad_request', 'url has a fragment, which no server sees');
  return url;
}

function headersOf({ fetch: terms, name: profile }: Profile, given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const headers = new Map<string, string>();
  for (const [written, value] of Object.entries(given)) {
    const name = written.toLowerCase();
    if (name === 'authorization') throw refused('the daemon sets Authorization itself', 'header');
    if (!FETCH_HEADERS.has(name) && !terms.headers.includes(name)) throw refused(`the header ${JSON.stringify(written.slice(0, 64))} is not on the list of those that may be sent`, 'header', `See docs/fetch.md; those of an API are named in the profile ${profile}: fetch_headers`);
    if (!FIELD_VALUE.test(value)) throw refused(`the header ${name} holds what no header may hold`, 'header');
    if (headers.has(name)) throw new BrokerError('bad_request', `the header ${name} is there twice`);
    headers.set(name, value.trim());
  }
  return Object.fromEntries(headers);
}

function bodyOf({ body, body_base64: packed }: Body, method: string): Uint8Array | null {
  if (body !== undefined && packed !== undefined) throw new BrokerError('bad_request', 'body and body_base64 say the same thing twice');
  if (body === undefined && packed === undefined) return null;
  // RFC 9110, section 9.3.1: it has no meaning there, and some servers take it for the next request.
  if (method === 'GET' || method === 'HEAD') throw new BrokerError('bad_request', `${method} has no body`);
  return body === undefined ? Buffer.from(packed ?? '', 'base64') : Buffer.from(body, 'utf8');
}
