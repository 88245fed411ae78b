/**
 * Servers that do nothing but answer, on the same Node and with as long a reply as the daemon's: the floors.
 * usage: bare line|fastify|idle SOCKET
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';

const TOKEN = {
  profile: 'work', access_token: 'A'.repeat(43), token_type: 'Bearer', expires_at: 2_000_000_000,
  scope: 'openid profile email offline_access read', resource: null, source: 'cache', granted_beyond: [],
};
/** Node's own default; written down, since libuv's is lower. */
const BACKLOG = 511;

function serveLines(socket: Socket): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    rest += chunk;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const asked: unknown = JSON.parse(rest.slice(0, end));
      rest = rest.slice(end + 1);
      const { type = null, id = null } = typeof asked === 'object' && asked !== null ? { type: null, id: null, ...asked } : {};
      socket.write(`${JSON.stringify({ type, id, status: 200, protocol: 1, build: '0.0.0', data: TOKEN })}\n`);
    }
  });
}

const [kind, path = ''] = process.argv.slice(2);
if (kind === 'fastify') {
  const { fastify } = await import('fastify');
  const app = fastify();
  app.post('/v1/token', () => TOKEN);
  await app.listen({ path, backlog: BACKLOG });
} else {
  createServer(kind === 'line' ? serveLines : (socket) => socket.destroy()).listen({ path, backlog: BACKLOG });
}
