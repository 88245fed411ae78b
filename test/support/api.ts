/** The smallest client of the API: one request over the Unix socket. */
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

// oxlint-disable-next-line no-explicit-any -- a test reads whatever it expects of a reply
export type ApiReply = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: any; readonly text: string };

/** A bare GET on loopback TCP: no header that a browser's fetch would add. */
export function plainGet(url: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const req = request(url, { headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    req.on('error', reject);
    req.end();
  });
}

export function callApi(socket: string, method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<ApiReply> {
  const payload = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const req = request({
      socketPath: socket, method, path, agent: false,
      headers: { ...(payload === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }), ...headers },
    }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: res.statusCode ?? 0, headers: res.headers, text, body: /json/.test(res.headers['content-type'] ?? '') ? JSON.parse(text) : null });
      });
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(payload);
  });
}
