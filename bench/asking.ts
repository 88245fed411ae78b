/** One question to a socket, by this process: to find out what is spoken there and how long one answer takes. */
import { createConnection } from 'node:net';
import { request } from 'node:http';
import { Unexpected } from './stage.ts';

export const TOKEN_LINE = JSON.stringify({ type: 'token', id: 1, protocol: 1, data: { profile: 'work' } });
export const TOKEN_BODY = JSON.stringify({ profile: 'work' });

const SPEAK_LIMIT_MS = 3_000;

/** Whether a JSON line is answered by one, with a token in it. */
export function speaksLines(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    let said = '';
    const connection = createConnection(socket, () => connection.write(`${TOKEN_LINE}\n`));
    const settle = (spoken: boolean): void => {
      connection.destroy();
      resolve(spoken);
    };
    connection.setEncoding('utf8').setTimeout(SPEAK_LIMIT_MS, () => settle(false));
    connection.on('data', (chunk: string) => {
      said += chunk;
      if (!said.startsWith('{')) settle(false);
      else if (said.includes('\n')) settle(said.includes('"access_token"'));
    });
    connection.on('error', () => settle(false));
    connection.on('close', () => settle(false));
  });
}

export type HttpAnswer = { readonly status: number; readonly body: Readonly<Record<string, unknown>>; readonly ms: number };

export function postToken(socketPath: string, body: object, limitMs: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const payload = JSON.stringify(body);
    const asked = request({
      socketPath, method: 'POST', path: '/v1/token', agent: false, timeout: limitMs,
      headers: { 'host': 'valetkey', 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
    }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => void (text += chunk)).on('end', () => {
        const parsed: unknown = JSON.parse(text);
        resolve({ status: response.statusCode ?? 0, body: { ...(typeof parsed === 'object' ? parsed : {}) }, ms: performance.now() - began });
      });
    });
    asked.on('timeout', () => asked.destroy(new Unexpected(`no answer in ${limitMs / 1000} s`)));
    asked.on('error', reject);
    asked.end(payload);
  });
}
