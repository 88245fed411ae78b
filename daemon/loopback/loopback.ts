/**
 * The one-login HTTP listener (RFC 8252, section 7.3): the only TCP port that Valetkey ever opens, on the
 * literal loopback address, from the start of a login until its answer was shown. Plain node:http with limits
 * far below Node's own: strangers may connect.
 */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Loopback } from '../core/loopback-port.ts';
import { sendRawRefusal } from './answer.ts';
import { bindLoopback, listenWith } from './bind.ts';
import { limitConnections } from './connections.ts';
import type { Connections } from './connections.ts';
import { LoginListener } from './login-listener.ts';
import type { LoopbackDeps } from './login-listener.ts';
import type { RefusalReason } from './refusals.ts';

const MAX_CONNECTIONS = 8;
const MAX_HEADER_BYTES = 8 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;
/** Node looks for slow requests this often; its own 30 s would make 35 s of the 5. */
const TIMEOUT_CHECK_MS = 500;
/** Characters of a path segment (RFC 3986, section 3.3) but `;` and `,`, which would end the cookie's path. */
const REDIRECT_PATH = /^\/[A-Za-z0-9._~!$&'()*+=:@%/-]*$/;

export function createLoopback(deps: LoopbackDeps): Loopback {
  return {
    async open({ ports, path, uid }) {
      if (!REDIRECT_PATH.test(path) || path.startsWith('/start/')) throw new Error('a redirect path is a plain absolute path');
      const server = createServer({
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: REQUEST_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: TIMEOUT_CHECK_MS,
        // Counted on rawHeaders by our own gate, which says more than Node's bare 400.
        requireHostHeader: false,
      });
      server.maxRequestsPerSocket = 1;
      const connections = limitConnections(server, MAX_CONNECTIONS, (socket) => sendRawRefusal(socket, 'busy'));
      const bound = await bindLoopback(listenWith(server), ports);
      const listener = new LoginListener(deps, bound, { path, uid }, () => stop(server, connections));
      serve(server, listener, deps);
      deps.log.info('loopback_opened', { address: bound.address, port: bound.port });
      return listener;
    },
  };
}

function serve(server: Server, listener: LoginListener, { log }: LoopbackDeps): void {
  server.on('request', (request, response) => {
    listener.handle(request, response).catch((error: unknown) => {
      log.error('loopback_request_failed', { port: listener.port }, error);
      response.destroy();
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const reason = clientErrorReason(error.code);
    listener.count(reason);
    sendRawRefusal(socket, reason);
  });
  server.on('error', (error) => log.error('loopback_listener_failed', { port: listener.port }, error));
}

function clientErrorReason(code: string | undefined): RefusalReason {
  if (code === 'HPE_HEADER_OVERFLOW') return 'too_large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'too_slow';
  return 'malformed';
}

function stop(server: Server, connections: Connections): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    connections.end();
  });
}
