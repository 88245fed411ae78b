/** A registry of cargo (the Cargo book, "Registry Index", sparse protocol; "Registry Web API") with one crate, for whoever brings a token that is good. */
import { createServer } from 'node:http';
import { listening } from './listening.ts';

export type CrateRegistry = {
  readonly url: string;
  /** The Authorization header of each request; null: none. */
  readonly seen: readonly (string | null)[];
  close(): Promise<void>;
};

const CRATE = JSON.stringify({ name: 'project', vers: '1.0.0', deps: [], cksum: '0'.repeat(64), features: {}, yanked: false, v: 2 });

export async function startCrateRegistry(isGood: (token: string) => Promise<boolean>): Promise<CrateRegistry> {
  const seen: (string | null)[] = [];
  const server = createServer((request, response) => {
    const header = request.headers.authorization ?? null;
    seen.push(header);
    const url = `http://${request.headers.host ?? ''}`;
    const known: Readonly<Record<string, string>> = {
      'GET /index/config.json': JSON.stringify({ dl: `${url}/dl`, api: url, 'auth-required': true }), 'GET /index/pr/oj/project': `${CRATE}\n`, 'DELETE /api/v1/crates/project/1.0.0/yank': '{"ok":true}',
    };
    isGood(/^Bearer (\S+)$/.exec(header ?? '')?.[1] ?? '').then((good) => {
      const answer = known[`${request.method ?? ''} ${request.url ?? ''}`];
      if (!good) response.writeHead(401, { 'www-authenticate': 'Cargo login_url="https://crates.example.com/me"' }).end();
      else response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(answer);
    }, (cause: unknown) => response.writeHead(500).end(String(cause)));
  });
  const { port, close } = await listening(server);
  return {
    url: `http://127.0.0.1:${port}`, seen,
    close,
  };
}
