/** git over HTTP (git-http-backend(1)) for whoever has a token that the issuer knows: it is asked at each request. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { listening } from './listening.ts';

export type GitServer = {
  readonly url: string;
  /** What each request said of who asks; null: nothing. */
  readonly seen: readonly (string | null)[];
  /** Takes no token that was used until now. */
  refuseUsed(): void;
  close(): Promise<void>;
};

/** @param issuer - whose tokens it takes */
export async function startGitServer(root: string, issuer: string): Promise<GitServer> {
  const seen: (string | null)[] = [];
  const used = new Set<string>();
  const refused = new Set<string>();
  const server = createServer((request, response) => {
    serve(request, response).catch((cause: unknown) => {
      response.writeHead(500).end(String(cause));
    });
  });
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    seen.push(request.headers.authorization ?? null);
    const token = tokenIn(request.headers.authorization ?? '');
    if (token === null || refused.has(token) || !(await isGood(token))) {
      response.writeHead(401, { 'www-authenticate': ['Basic realm="git"', 'Bearer realm="git"'] }).end();
      return;
    }
    used.add(token);
    await handOn(request, response, root);
  }
  async function isGood(token: string): Promise<boolean> {
    return (await fetch(`${issuer}/me`, { headers: { authorization: `Bearer ${token}` } })).ok;
  }
  const { port, close } = await listening(server);
  return {
    url: `http://127.0.0.1:${port}`, seen,
    refuseUsed: () => used.forEach((token) => refused.add(token)),
    close,
  };
}

function tokenIn(header: string): string | null {
  const [, scheme = '', value = ''] = /^(\w+) (\S+)$/.exec(header) ?? [];
  if (scheme === 'Bearer') return value;
  return scheme === 'Basic' ? Buffer.from(value, 'base64').toString().split(':').slice(1).join(':') : null;
}

/** CGI (RFC 3875). */
async function handOn(request: IncomingMessage, response: ServerResponse, root: string): Promise<void> {
  const { pathname, search } = new URL(request.url ?? '/', 'http://git');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'] ?? '', GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: '1', PATH_INFO: pathname, QUERY_STRING: search.slice(1), REQUEST_METHOD: request.method ?? 'GET', REMOTE_USER: 'ada',
      CONTENT_TYPE: request.headers['content-type'] ?? '', HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  request.pipe(child.stdin);
  const parts: Buffer[] = [];
  for await (const part of child.stdout) parts.push(part as Buffer);
  const all = Buffer.concat(parts);
  const end = all.indexOf('\r\n\r\n');
  const headers = all.subarray(0, end).toString().split('\r\n').map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]);
  const status = Number(headers.find(([name]) => name === 'Status')?.[1].slice(0, 3) ?? 200);
  response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== 'Status'))).end(all.subarray(end + 4));
}
