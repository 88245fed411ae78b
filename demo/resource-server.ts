/**
 * A small API behind bearer tokens (RFC 6750): it takes a token only if the issuer says that it lives, and
 * only if it was issued for this very server. Its answer names the caller's subject and never the token.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

export type TokenCheck =
  /** RFC 7662: ask the issuer each time. */
  | { readonly kind: 'introspection'; readonly introspect: (token: string) => Promise<Readonly<Record<string, unknown>> & { readonly active: boolean }> }
  /** RFC 9068: check the signature against the issuer's keys. */
  | { readonly kind: 'jwks'; readonly issuer: string; readonly jwksUri: string };

export type ResourceServer = {
  /** Its URI, which tokens have to name as their audience. */
  readonly url: string;
  readonly accepted: number;
  readonly refused: number;
  close(): Promise<void>;
};

type Claims = { readonly sub: string; readonly scope: string };

async function claimsOf(token: string, audience: string, check: TokenCheck): Promise<Claims | null> {
  const facts = await (async (): Promise<Readonly<Record<string, unknown>> | null> => {
    if (check.kind === 'introspection') {
      const answer = await check.introspect(token);
      return answer.active ? answer : null;
    }
    try {
      const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(check.jwksUri)), { issuer: check.issuer, audience, typ: 'at+jwt' });
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  })();
  if (facts === null || ![facts['aud']].flat().includes(audience)) return null;
  return { sub: String(facts['sub']), scope: typeof facts['scope'] === 'string' ? facts['scope'] : '' };
}

export async function startResourceServer(check: TokenCheck): Promise<ResourceServer> {
  const counts = { accepted: 0, refused: 0 };
  let url = '';

  const judge = async (req: IncomingMessage): Promise<{ readonly status: number; readonly headers: Record<string, string>; readonly body: unknown }> => {
    const token = req.headers.authorization?.match(/^Bearer ([\w.~+/-]+=*)$/i)?.[1];
    const claims = token === undefined ? null : await claimsOf(token, url, check);
    if (claims === null) {
      counts.refused += 1;
      // RFC 6750, section 3.1: no error code where the request held no token at all.
      const challenge = token === undefined ? `Bearer realm="${url}"` : `Bearer realm="${url}", error="invalid_token"`;
      return { status: 401, headers: { 'www-authenticate': challenge }, body: { error: token === undefined ? 'token_missing' : 'invalid_token' } };
    }
    counts.accepted += 1;
    return { status: 200, headers: {}, body: { hello: claims.sub, scope: claims.scope } };
  };

  const server = createServer((req, res) => {
    const answer = ({ status, headers, body }: Awaited<ReturnType<typeof judge>>): void => {
      res.writeHead(status, { ...headers, 'content-type': 'application/json', 'cache-control': 'no-store' }).end(`${JSON.stringify(body)}\n`);
    };
    judge(req).then(answer, (error: unknown) => {
      process.stderr.write(`resource server: ${String(error)}\n`);
      answer({ status: 503, headers: {}, body: { error: 'issuer_unreachable' } });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the resource server has no port');
  url = `http://127.0.0.1:${address.port}/api`;

  return {
    url,
    get accepted() {
      return counts.accepted;
    },
    get refused() {
      return counts.refused;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
