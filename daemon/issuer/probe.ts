/**
 * Whether requests get to the server that gives out tokens, found out by one that holds no secret: so that no
 * refresh token is the first to try a network that may still be dead.
 */
import type { AuthorizationServer, IssuerConnection } from '../core/domain.ts';
import type { Transient } from '../core/ports.ts';
import { wellKnownUrls } from './discover.ts';
import type { WireDeps } from './exchange.ts';
import { WireError } from './failures.ts';
import { outcomeOf } from './outcome.ts';

const TIMEOUT_MS = 5_000;

export async function probeServer({ http, clock, skews }: WireDeps, server: AuthorizationServer, connection: IssuerConnection): Promise<Transient | { readonly kind: 'reached' }> {
  const startedMs = clock.boottimeMs();
  try {
    const answer = await http.send(connection, placeOf(server), { method: 'GET', headers: { accept: 'application/json' }, body: null }, AbortSignal.timeout(TIMEOUT_MS));
    skews.learn(server.issuer, answer, startedMs);
    return answer.status < 500 ? { kind: 'reached' } : unwell(answer.status);
  } catch (cause) {
    // What is wrong with the body of this answer is nobody's business here.
    if (cause instanceof WireError && cause.status !== null) return cause.status < 500 ? { kind: 'reached' } : unwell(cause.status);
    const outcome = outcomeOf(cause, null);
    // A URL that may not be used is not reached, and will not be; the refresh itself says why.
    return outcome.kind === 'transient' ? outcome : { kind: 'reached' };
  }
}

/** A document at the token endpoint's own origin, else that origin: the issuer may be another machine. */
function placeOf({ issuer, tokenEndpoint, jwksUri, isOpenIdProvider }: AuthorizationServer): string {
  const { origin } = new URL(tokenEndpoint);
  const documents = [wellKnownUrls(issuer, isOpenIdProvider ? 'oidc' : 'oauth')[0]?.url ?? null, jwksUri];
  return documents.find((url) => url !== null && new URL(url).origin === origin) ?? `${origin}/`;
}

function unwell(status: number): Transient {
  return { kind: 'transient', answerLost: false, retryAfterMs: null, cause: `http_${status}`, reach: 'server', timedOut: false };
}
