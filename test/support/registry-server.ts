/**
 * As much of a container registry as reading one image needs (OCI distribution, "Pull"; docker's token authentication): a
 * short-lived token of its own against a name and password, where the password is an access token that is good.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listening } from './listening.ts';

export type RegistryServer = {
  /** 127.0.0.1 and a port. */
  readonly host: string;
  /** Who asked for a token of the registry, `name:password`; null: nobody. */
  readonly seen: readonly (string | null)[];
  close(): Promise<void>;
};

const CONFIG = JSON.stringify({ architecture: 'amd64', os: 'linux', created: '2026-01-01T00:00:00Z', config: { Labels: { is: 'project' } }, rootfs: { type: 'layers', diff_ids: [] } });
const digest = (bytes: string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const MANIFEST = JSON.stringify({
  schemaVersion: 2, mediaType: MANIFEST_TYPE, config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: CONFIG.length, digest: digest(CONFIG) }, layers: [],
});

export async function startRegistry(isGood: (token: string) => Promise<boolean>): Promise<RegistryServer> {
  const seen: (string | null)[] = [];
  const issued = new Set<string>();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://registry');
    const header = request.headers.authorization ?? '';
    const send = (status: number, type: string, body: string, more: Readonly<Record<string, string>> = {}): void => {
      response.writeHead(status, { 'content-type': type, 'docker-distribution-api-version': 'registry/2.0', ...more }).end(body);
    };
    if (pathname === '/token') {
      const who = header.startsWith('Basic ') ? Buffer.from(header.slice(6), 'base64').toString() : null;
      seen.push(who);
      isGood(who?.split(':').slice(1).join(':') ?? '').then((good) => {
        const token = randomBytes(16).toString('hex');
        if (good) issued.add(token);
        send(good ? 200 : 401, 'application/json', JSON.stringify(good ? { token, access_token: token, expires_in: 60 } : { errors: [{ code: 'UNAUTHORIZED' }] }));
      }, (cause: unknown) => send(500, 'text/plain', String(cause)));
      return;
    }
    // What `docker login` lets the engine do (Docker Engine API): this server is asked for it in its place.
    if (pathname === '/_ping') return send(200, 'text/plain', 'OK', { 'api-version': '1.45' });
    if (pathname.endsWith('/auth')) {
      text(request).then(async (body) => {
        const { username, password } = JSON.parse(body) as { readonly username: string; readonly password: string };
        seen.push(`${username}:${password}`);
        const good = await isGood(password);
        send(good ? 200 : 401, 'application/json', JSON.stringify(good ? { Status: 'Login Succeeded', IdentityToken: '' } : { message: 'unauthorized' }));
      }).catch((cause: unknown) => send(500, 'text/plain', String(cause)));
      return;
    }
    const known: Readonly<Record<string, readonly [string, string]>> = {
      '/v2/': ['application/json', '{}'], '/v2/project/manifests/v1': [MANIFEST_TYPE, MANIFEST], [`/v2/project/manifests/${digest(MANIFEST)}`]: [MANIFEST_TYPE, MANIFEST],
      [`/v2/project/blobs/${digest(CONFIG)}`]: ['application/octet-stream', CONFIG], '/v2/project/tags/list': ['application/json', '{"name":"project","tags":["v1"]}'],
    };
    const found = known[pathname];
    if (!issued.has(header.replace(/^Bearer /, ''))) {
      send(401, 'application/json', '{"errors":[{"code":"UNAUTHORIZED"}]}', { 'www-authenticate': `Bearer realm="http://${request.headers.host ?? ''}/token",service="registry",scope="repository:project:pull"` });
    } else if (found === undefined) send(404, 'application/json', '{"errors":[{"code":"NOT_FOUND"}]}');
    else send(200, found[0], request.method === 'HEAD' ? '' : found[1], { 'docker-content-digest': digest(found[1]), ...(request.method === 'HEAD' ? { 'content-length': String(found[1].length) } : {}) });
  });
  const { port, close } = await listening(server);
  return {
    host: `127.0.0.1:${port}`, seen,
    close,
  };
}
