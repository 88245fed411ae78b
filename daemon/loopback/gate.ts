/**
 * Which requests are looked at: top-level GET navigations of a browser (or a plain client) that name this
 * very listener. Everything that a hostile page, a rebound DNS name or a curious program can send is
 * refused here, before any path or parameter is read. Pure.
 */
import type { RefusalReason } from './refusals.ts';

export type RequestHead = {
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value, as they came: Node's own view keeps the first of two Host headers. */
  readonly rawHeaders: readonly string[];
};

/** @param authority - host:port that was bound, e.g. `127.0.0.1:40123` or `[::1]:40123`. */
export function refuseRequest(head: RequestHead, authority: string): RefusalReason | null {
  const hosts = headerValues(head.rawHeaders, 'host');
  const [host] = hosts;
  if (host === undefined || hosts.length > 1) return 'bad_host';
  // A rebound name would arrive with the attacker's own host (DNS rebinding).
  if (host !== authority) return 'misdirected';
  // Absolute-form would override Host (RFC 9112, section 3.2.2).
  if (!head.target.startsWith('/')) return 'bad_target';
  // HEAD too: a link preview must not use the one-time link up.
  if (head.method !== 'GET') return 'bad_method';
  if (hasBody(head.rawHeaders)) return 'bad_body';
  if (isPrefetch(head.rawHeaders)) return 'prefetch';
  if (!isNavigation(head.rawHeaders)) return 'not_navigation';
  return null;
}

export function headerValues(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.flatMap((field, index) => {
    const value = rawHeaders[index + 1];
    return index % 2 === 0 && value !== undefined && field.toLowerCase() === name ? [value] : [];
  });
}

/** Fetch Metadata, where the browser sends it; Origin comes with fetch() and forms, never with a GET navigation. */
function isNavigation(rawHeaders: readonly string[]): boolean {
  const only = (name: string, wanted: string): boolean => headerValues(rawHeaders, name).every((value) => value === wanted);
  return headerValues(rawHeaders, 'origin').length === 0
    && only('sec-fetch-mode', 'navigate')
    && only('sec-fetch-dest', 'document');
}

function isPrefetch(rawHeaders: readonly string[]): boolean {
  return ['sec-purpose', 'purpose', 'x-moz', 'x-purpose'].some((name) => headerValues(rawHeaders, name).length > 0);
}

function hasBody(rawHeaders: readonly string[]): boolean {
  return headerValues(rawHeaders, 'transfer-encoding').length > 0
    || headerValues(rawHeaders, 'content-length').some((length) => length !== '0');
}
