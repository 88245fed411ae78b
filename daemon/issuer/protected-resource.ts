/** Protected resource metadata (RFC 9728), found as MCP has it: by the server's challenge, else at the well-known places. */
import { readResourceChallenge } from '../../shared/challenge.ts';
import { parseScope } from '../../shared/names.ts';
import type { Scope } from '../../shared/names.ts';
import { BUILD_VERSION } from '../../shared/version.ts';
import type { ProtectedResource } from '../core/discovery-port.ts';
import type { IssuerConnection } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { cleanText } from '../core/text.ts';
import type { Http } from './http.ts';
import { askStranger, objectIn, stringsIn } from './strange-document.ts';

const SERVERS_MAX = 16;
const SCOPES_MAX = 64;
const CODE = 'resource_metadata_invalid';
/** What stands behind the host, but for the one slash of an empty path; nothing that URL parsing would drop or re-spell. */
const PARTS = /^https?:\/\/[A-Za-z0-9.:[\]-]+(?:\/(?=$)|([/?][\x21\x22\x24-\x5b\x5d-\x7e]*))?$/i;

/** As a host begins (MCP 2025-11-25, Lifecycle): what guards the server answers, without a token, with a challenge. */
const HELLO = JSON.stringify({
  jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'valetkey', version: BUILD_VERSION } },
});

const invalid = (why: string, hint?: string): BrokerError => new BrokerError(CODE, why, hint === undefined ? {} : { hint });

/** RFC 9728, section 3.1: between host and path; and that of the whole host, as MCP has it. */
export function metadataPlaces(url: string): readonly string[] {
  const { origin, pathname, search } = new URL(url);
  const root = `${origin}/.well-known/oauth-protected-resource`;
  return pathname === '/' && search === '' ? [root] : [`${root}${pathname === '/' ? '' : pathname}${search}`, root];
}

export async function findProtectedResource(http: Http, url: string, expected: string, connection: IssuerConnection): Promise<ProtectedResource> {
  const challenge = await challengeOf(http, url, connection);
  for (const place of challenge?.metadata === undefined || challenge.metadata === null ? metadataPlaces(url) : [challenge.metadata]) {
    const found = objectIn(await askStranger(http, connection, place, CODE));
    if (found !== null) return readMetadata(found, place, expected, challenge?.scopes ?? []);
  }
  throw invalid(`${url} names no authorization server: it publishes no metadata (RFC 9728)`, 'Ask whoever runs it for issuer and client id, then run: valetkey profile add NAME --resource URL');
}

async function challengeOf(http: Http, url: string, connection: IssuerConnection): Promise<ReturnType<typeof readResourceChallenge>> {
  const headers = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
  const { status, header } = await askStranger(http, connection, url, CODE, { method: 'POST', headers, body: HELLO });
  const said = header('www-authenticate');
  return status === 401 && said !== null ? readResourceChallenge(said) : null;
}

function readMetadata(metadata: Readonly<Record<string, unknown>>, place: string, expected: string, challenged: readonly Scope[]): ProtectedResource {
  const { resource, authorization_servers: servers, bearer_methods_supported: methods, scopes_supported: supported } = metadata;
  // RFC 9728, section 3.3: identical, else it may be another's, put there to have tokens for that one.
  if (typeof resource !== 'string' || !isSame(resource, expected)) {
    const said = cleanText(String(resource), 256);
    throw invalid(`${cleanText(place)} is the metadata of ${said}, and not of ${expected}`, isAbove(resource, expected) ? `If the token may be for all of it, run the command again with: --resource ${said}` : 'Tell whoever runs the server');
  }
  const named = stringsIn(servers, SERVERS_MAX);
  if (named === null || named.length === 0) throw invalid(`${cleanText(place)} names no authorization server, or more than ${SERVERS_MAX}`);
  // RFC 9728, section 2; RFC 6750, section 2.3: never in a URL (MC-03).
  if (methods !== undefined && stringsIn(methods, SERVERS_MAX)?.includes('header') !== true) throw invalid(`${expected} takes no token in the Authorization header`);
  const scopes = challenged.length > 0 ? challenged : scopesOf(supported);
  return { resource, metadataUrl: place, authorizationServers: [...new Set(named)], scopes, scopesFrom: challenged.length > 0 ? 'challenge' : scopes.length > 0 ? 'metadata' : 'nobody' };
}

/** Whoever names what is no scope names none. */
function scopesOf(value: unknown): readonly Scope[] {
  const words = stringsIn(value, SCOPES_MAX) ?? [];
  const scopes = words.flatMap((word) => parseScope(word) ?? []);
  return scopes.length === words.length ? [...new Set(scopes)] : [];
}

/** But for what no two readers would take for two things: the spelling of scheme and host, and the one slash of an empty path. */
function isSame(resource: string, expected: string): boolean {
  if (resource === expected) return true;
  const [said, meant] = [PARTS.exec(resource), PARTS.exec(expected)];
  if (said === null || meant === null || !URL.canParse(resource)) return false;
  return new URL(resource).origin === new URL(expected).origin && (said[1] ?? '') === (meant[1] ?? '');
}

function isAbove(resource: unknown, expected: string): boolean {
  if (typeof resource !== 'string' || !URL.canParse(resource)) return false;
  const [above, below] = [new URL(resource), new URL(expected)];
  return above.origin === below.origin && below.pathname.startsWith(above.pathname.endsWith('/') ? above.pathname : `${above.pathname}/`);
}
