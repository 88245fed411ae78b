/** A package index for pip and uv (PEP 503) with one wheel, for whoever brings a token that is good as a password. */
import { createServer } from 'node:http';
import { listening } from './listening.ts';

export type PackageIndex = {
  readonly host: string;
  /** `name:password` of each request; null: none. */
  readonly seen: readonly (string | null)[];
  close(): Promise<void>;
};

export const WHEEL = 'project-1.0-py3-none-any.whl';

export async function startPackageIndex(wheel: Buffer, isGood: (token: string) => Promise<boolean>): Promise<PackageIndex> {
  const seen: (string | null)[] = [];
  const server = createServer((request, response) => {
    const header = request.headers.authorization ?? '';
    const who = header.startsWith('Basic ') ? Buffer.from(header.slice(6), 'base64').toString() : null;
    seen.push(who);
    isGood(who?.split(':').slice(1).join(':') ?? '').then((good) => {
      if (!good) response.writeHead(401, { 'www-authenticate': 'Basic realm="index"' }).end();
      else if (request.url === '/simple/project/') response.writeHead(200, { 'content-type': 'text/html' }).end(`<!DOCTYPE html><html><body><a href="/files/${WHEEL}">${WHEEL}</a></body></html>`);
      else if (request.url === `/files/${WHEEL}`) response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(wheel);
      else response.writeHead(404).end();
    }, (cause: unknown) => response.writeHead(500).end(String(cause)));
  });
  const { port, close } = await listening(server);
  return {
    host: `127.0.0.1:${port}`, seen,
    close,
  };
}
