/**
 * A browser without a screen, for the demo and the tests: keeps cookies, follows redirects, fills in the
 * forms of a sign-in, and sends what a browser's top-level navigation sends. It runs no script and loads
 * nothing besides the pages themselves.
 */
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import { CookieJar } from './cookie-jar.ts';
import { fillForm } from './html-form.ts';
import type { Answers } from './html-form.ts';

export type Hop = { readonly method: 'GET' | 'POST'; readonly url: string; readonly status: number };

export type Visit = {
  readonly finalUrl: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** Every request that was made, in order. */
  readonly hops: readonly Hop[];
};

export type BrowseOptions = {
  /** Who signs in. */
  readonly login: string;
  /** Refuse, on the first page that offers it. */
  readonly deny?: boolean;
  readonly userCode?: string;
  /** To visit several pages as one browser. */
  readonly jar?: CookieJar;
  /** Ends the visit where it would go next, without a request; `status` is then 0 and `finalUrl` that place. */
  readonly stopBefore?: (url: URL) => boolean;
  readonly signal?: AbortSignal;
};

/** A sign-in takes about eight; more is a loop. */
const HOPS_MAX = 30;
const BODY_MAX_BYTES = 1024 * 1024;
const ANSWER_TIMEOUT_MS = 15_000;

type Navigation = { readonly method: 'GET' | 'POST'; readonly url: URL; readonly form: URLSearchParams | null };
/** Who caused a chain of requests: the person (address bar, opener) or a page. */
type Initiator = { readonly kind: 'person' } | { readonly kind: 'page'; readonly url: URL };

/** Sites are compared without the port; on loopback literals there is no registrable domain to compare. */
function secFetchSite(initiator: Initiator, chain: readonly URL[]): 'none' | 'same-origin' | 'same-site' | 'cross-site' {
  if (initiator.kind === 'person') return 'none';
  if (chain.every((url) => url.origin === initiator.url.origin)) return 'same-origin';
  return chain.every((url) => url.protocol === initiator.url.protocol && url.hostname === initiator.url.hostname) ? 'same-site' : 'cross-site';
}

async function readBody(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) throw new Error('the page is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function send({ method, url, form }: Navigation, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const open = url.protocol === 'https:' ? requestTls : request;
    const outgoing = open(url, { method, headers, signal, timeout: ANSWER_TIMEOUT_MS, agent: false }, resolve);
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${url.host} did not answer in time`)));
    outgoing.on('error', reject);
    outgoing.end(form === null ? undefined : form.toString());
  });
}

/** Opens the URL as a person would and acts on whatever page comes, until one asks for nothing more. */
export async function followLogin(startUrl: string, options: BrowseOptions): Promise<Visit> {
  const jar = options.jar ?? new CookieJar();
  const signal = options.signal ?? new AbortController().signal;
  const answers: Answers = { login: options.login, deny: options.deny ?? false, userCode: options.userCode ?? null };
  const hops: Hop[] = [];
  const answered = new Set<string>();
  let initiator: Initiator = { kind: 'person' };
  let chain: URL[] = [];
  let next: Navigation = { method: 'GET', url: new URL(startUrl), form: null };

  while (hops.length < HOPS_MAX) {
    if (options.stopBefore?.(next.url) === true) return { finalUrl: next.url.href, status: 0, headers: {}, body: '', hops };
    chain.push(next.url);
    const site = secFetchSite(initiator, chain);
    const cookie = jar.header(next.url, { crossSite: site === 'cross-site', method: next.method });
    const answer = await send(next, {
      accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'accept-language': 'en',
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) scripted-browser',
      'upgrade-insecure-requests': '1',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      'sec-fetch-site': site,
      'sec-fetch-user': '?1',
      ...(cookie === '' ? {} : { cookie }),
      ...(next.form === null ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      ...(next.method === 'POST' && initiator.kind === 'page' ? { origin: initiator.url.origin } : {}),
      connection: 'close',
    }, signal);
    jar.store(next.url, answer.headers['set-cookie'] ?? []);
    const body = await readBody(answer);
    const status = answer.statusCode ?? 0;
    hops.push({ method: next.method, url: next.url.href, status });

    const { location } = answer.headers;
    if (status >= 300 && status < 400 && location !== undefined) {
      const keeps = status === 307 || status === 308;
      const fragmentless = new URL(location, next.url);
      fragmentless.hash = '';
      next = { method: keeps ? next.method : 'GET', url: fragmentless, form: keeps ? next.form : null };
      continue;
    }
    const filled = fillForm(body, next.url, answers);
    // A form that comes back was not accepted, and the same answer again would not be either.
    const question = filled === null ? '' : `${filled.action.href} ${[...filled.fields.keys()].join(' ')}`;
    if (filled === null || answered.has(question)) return { finalUrl: next.url.href, status, headers: answer.headers, body, hops };
    answered.add(question);
    initiator = { kind: 'page', url: next.url };
    chain = [];
    if (filled.method === 'GET') {
      const target = new URL(filled.action);
      target.search = filled.fields.toString();
      next = { method: 'GET', url: target, form: null };
    } else {
      next = { method: 'POST', url: filled.action, form: filled.fields };
    }
  }
  throw new Error(`more than ${HOPS_MAX} pages: ${hops.slice(-4).map((hop) => `${hop.status} ${hop.url.split('?')[0]}`).join(' -> ')}`);
}

/** Opens the device page, types the code, signs in, and allows (or refuses) what is asked for. */
export function approveDevice(verificationUri: string, userCode: string, login: string, options: { readonly deny?: boolean } = {}): Promise<Visit> {
  return followLogin(verificationUri, { login, userCode, ...options });
}
