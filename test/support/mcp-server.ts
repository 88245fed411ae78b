/** An MCP server of the official SDK over HTTP, for whoever has a token that the issuer knows: it is asked at each request. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';

export type McpHttpServer = {
  readonly url: string;
  /** Of each request; null: none. */
  readonly tokens: readonly (string | null)[];
  /** Takes no token that was used until now. */
  refuseUsed(): void;
  /** Answers everything with this. */
  answerWith(status: number | null, headers?: Readonly<Record<string, string>>): void;
  close(): Promise<void>;
};

function makeServer(): McpServer {
  const server = new McpServer({ name: 'adder', version: '1.0.0' });
  server.registerTool('add', { description: 'Adds', inputSchema: fromJsonSchema<{ a: number; b: number }>({ type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] }) }, async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }));
  return server;
}

/** What it says of itself (RFC 9728). */
export type SelfDescription = { readonly issuers: readonly string[]; readonly scopes?: readonly string[]; readonly challenged?: readonly string[]; readonly lacks?: (token: string) => Promise<string | null> };

/** @param isGood - whether the issuer knows the token */
export async function startMcpServer(isGood: (token: string) => Promise<boolean>, self: SelfDescription | null = null): Promise<McpHttpServer> {
  const handler = createMcpHandler(makeServer);
  const tokens: (string | null)[] = [];
  const refused = new Set<string>();
  let instead: { readonly status: number; readonly headers: Readonly<Record<string, string>> } | null = null;
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? null;
    tokens.push(token);
    if (instead !== null) return void response.writeHead(instead.status, instead.headers).end('no');
    if (self !== null && request.url === new URL(metadata).pathname) return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ resource: url, authorization_servers: self.issuers, ...(self.scopes === undefined ? {} : { scopes_supported: self.scopes }) }));
    const hint = self === null ? '' : `, resource_metadata="${metadata}"${self.challenged === undefined ? '' : `, scope="${self.challenged.join(' ')}"`}`;
    if (token === null || refused.has(token) || !(await isGood(token))) return void response.writeHead(401, { 'www-authenticate': `Bearer error="invalid_token"${hint}` }).end();
    const headers = new Headers(Object.entries(request.headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])));
    const missing = await self?.lacks?.(token) ?? null;
    if (missing !== null) return void response.writeHead(403, { 'www-authenticate': `Bearer error="insufficient_scope", scope="${missing}"` }).end();
    const answer = await handler.fetch(new Request(new URL(request.url ?? '/', url), { method: request.method ?? 'GET', headers, ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }) }));
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    for await (const chunk of answer.body ?? []) response.write(chunk);
    return void response.end();
  }
  const server = createServer((request, response) => {
    serve(request, response).catch((cause: unknown) => response.destroy(cause instanceof Error ? cause : undefined));
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const metadata = url.replace('/mcp', '/.well-known/oauth-protected-resource/mcp');
  return {
    url, tokens,
    refuseUsed: () => tokens.forEach((token) => { if (token !== null) refused.add(token); }),
    answerWith: (status, headers = {}) => { instead = status === null ? null : { status, headers }; },
    async close() {
      await handler.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
