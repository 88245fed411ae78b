/**
 * Writes answers. Each one ends its connection, is kept by nobody, loads nothing, runs nothing and may be
 * framed or read by no page; none carries an Access-Control-Allow-* header.
 */
import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { STYLE_SOURCE } from './pages/layout.ts';
import { refusalPage } from './pages/refusal.ts';
import { REFUSALS } from './refusals.ts';
import type { RefusalReason } from './refusals.ts';

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    `default-src 'none'; style-src ${STYLE_SOURCE}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  // The next page must not learn the address of this one, which may hold the code (RFC 9700, section 4.2).
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  Connection: 'close',
} as const;

export function sendPage(response: ServerResponse, status: number, page: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, {
    ...HEADERS,
    ...headers,
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(page),
  });
  response.end(page);
}

export function sendRedirect(response: ServerResponse, status: 302 | 303, location: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { ...HEADERS, ...headers, Location: location, 'Content-Length': 0 });
  response.end();
}

export function sendRefusal(response: ServerResponse, reason: RefusalReason): void {
  sendPage(response, REFUSALS[reason].status, refusalPage(reason), headersOf(reason));
}

/** For requests that never became one: too many at once, too slow, or not HTTP. */
export function sendRawRefusal(socket: Duplex, reason: RefusalReason): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const page = refusalPage(reason);
  const { status } = REFUSALS[reason];
  const headers = { ...HEADERS, ...headersOf(reason), 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': Buffer.byteLength(page) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${page}`, () => socket.destroy());
}

function headersOf(reason: RefusalReason): Readonly<Record<string, string>> {
  switch (REFUSALS[reason].status) {
    case 405:
      return { Allow: 'GET' };
    case 503:
      // The browser of a person who is signing in comes back by itself.
      return { Refresh: '1', 'Retry-After': '1' };
    default:
      return {};
  }
}
