/** A registry of npm with one package, for whoever brings a token that is good. */
import { createServer } from 'node:http';
import { listening } from './listening.ts';

export type NpmRegistry = {
  /** 127.0.0.1 and a port. */
  readonly host: string;
  /** The Authorization header of each request; null: none. */
  readonly seen: readonly (string | null)[];
  close(): Promise<void>;
};

export async function startNpmRegistry(isGood: (token: string) => Promise<boolean>): Promise<NpmRegistry> {
  const seen: (string | null)[] = [];
  const server = createServer((request, response) => {
    const header = request.headers.authorization ?? null;
    seen.push(header);
    const tarball = `http://${request.headers.host ?? ''}/project/-/project-1.0.0.tgz`;
    const version = { name: 'project', version: '1.0.0', dist: { tarball, shasum: '0'.repeat(40) } };
    isGood(/^Bearer (\S+)$/.exec(header ?? '')?.[1] ?? '').then((good) => {
      response.setHeader('content-type', 'application/json');
      if (!good) response.writeHead(401).end('{"error":"who is it"}');
      else if (request.url === '/project') response.end(JSON.stringify({ name: 'project', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version }, time: { '1.0.0': '2026-01-01T00:00:00.000Z' } }));
      else response.writeHead(404).end('{}');
    }, (cause: unknown) => response.writeHead(500).end(JSON.stringify(String(cause))));
  });
  const { port, close } = await listening(server);
  return {
    host: `127.0.0.1:${port}`, seen,
    close,
  };
}
