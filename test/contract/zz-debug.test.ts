import { once } from 'node:events';
import { createServer } from 'node:https';
import { createServer as createProxy } from 'node:http';
import { connect } from 'node:net';
import { it } from 'vitest';
import { ProxyAgent, fetch } from 'undici';
import { CERTIFICATE, PRIVATE_KEY } from '../support/loopback-tls.ts';
it('x', async () => {
  const s = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (_q, r) => r.end('x')); s.listen(0, '127.0.0.1'); await once(s, 'listening');
  const p = createProxy(); p.on('connect', (req, socket) => {
    socket.on('close', () => console.log('proxy: client socket closed'));
    socket.on('end', () => console.log('proxy: client socket end'));
    socket.on('error', () => socket.destroy());
    const o = connect((s.address() as any).port, '127.0.0.1', () => { socket.write('HTTP/1.1 200 OK\r\n\r\n'); socket.pipe(o).pipe(socket); });
    o.on('error', () => socket.destroy()); o.on('close', () => console.log('proxy: onward closed'));
  }); p.listen(0, '127.0.0.1'); await once(p, 'listening');
  const a = new ProxyAgent({ uri: `http://127.0.0.1:${(p.address() as any).port}`, pipelining: 0, requestTls: { rejectUnauthorized: true } });
  try { await fetch(`https://127.0.0.1:${(s.address() as any).port}/`, { dispatcher: a }); } catch (e: any) { console.log('err', e.cause?.code); }
  const t = setTimeout(() => console.log('close hangs'), 2000);
  await Promise.race([a.close().then(() => console.log('closed')), new Promise((r) => setTimeout(r, 3000))]);
  clearTimeout(t);
  await Promise.race([a.destroy().then(() => console.log('destroyed')), new Promise((r) => setTimeout(r, 3000))]);
  await new Promise((r) => setTimeout(r, 500));
  p.closeAllConnections(); s.closeAllConnections(); p.close(); s.close();
});
