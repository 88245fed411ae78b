/** As much of a Kubernetes API server as `kubectl get pods` speaks to, over TLS, for whoever brings a token that is good. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CERTIFICATE, PRIVATE_KEY } from './loopback-tls.ts';

export type KubeServer = {
  readonly url: string;
  /** The Authorization header of each request; null: none. */
  readonly seen: readonly (string | null)[];
  close(): Promise<void>;
};

const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-0', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' }, spec: {}, status: {} };

const ANSWERS: Readonly<Record<string, object>> = {
  '/version': { major: '1', minor: '32', gitVersion: 'v1.32.4' },
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [{ name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get', 'list'], shortNames: ['po'] }] },
  '/api/v1/namespaces/default/pods': { apiVersion: 'v1', kind: 'PodList', metadata: { resourceVersion: '1' }, items: [POD] },
};

export async function startKubeServer(isGood: (token: string) => Promise<boolean>): Promise<KubeServer> {
  const seen: (string | null)[] = [];
  const server = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (request, response) => {
    const header = request.headers.authorization ?? null;
    seen.push(header);
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const [, token = ''] = /^Bearer (\S+)$/.exec(header ?? '') ?? [];
    isGood(token).then((good) => {
      const answer = ANSWERS[new URL(request.url ?? '/', 'https://kube').pathname];
      if (!good) send(401, { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'Unauthorized', reason: 'Unauthorized', code: 401 });
      else if (answer === undefined) send(404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 });
      else send(200, answer);
    }, (cause: unknown) => send(500, { cause: String(cause) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, seen,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}
