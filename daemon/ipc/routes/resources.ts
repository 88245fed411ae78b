/**
 * POST /v1/resources: the way from the URL of a server to a profile. What the server and its issuer say is a stranger's
 * word: nothing is written here, and what is learnt goes back to the person who asked.
 */
import type * as v from 'valibot';
import type { resourceRequest } from '../../../shared/resource-schemas.ts';
import type { ResourceReply } from '../../../shared/resource-schemas.ts';
import { parseScope } from '../../../shared/names.ts';
import type { Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Newcomers } from '../../core/issuer-port.ts';
import { cleanText } from '../../core/text.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';

type Body = v.InferOutput<typeof resourceRequest>;
type Client = { readonly clientId: string | null; readonly redirectPath: string | null };

/** Nobody's: until there is a client, a profile takes some id all the same. */
const NO_CLIENT = 'unregistered';
const OFFLINE = parseScope('offline_access');

export async function findResource(broker: Broker, ask: Ask): Promise<ResourceReply> {
  const body = ask.body as Body; // parsed by this method's schema
  const { url, register = false, client_id_metadata: document } = body;
  if (!URL.canParse(url)) throw new BrokerError('bad_request', 'url is no URL such as https://mcp.example.com/mcp');
  if (new URL(url).protocol === 'http:' && body.allow_loopback_http !== true) throw new BrokerError('bad_request', `${cleanText(url)} is not https`, { hint: 'For a server on 127.0.0.1 in development: --allow-loopback-http' });
  if (body.resource !== undefined && !isPartOf(url, body.resource)) throw new BrokerError('bad_request', `${url} is no part of ${body.resource}`);
  if (register && document !== undefined) throw new BrokerError('bad_request', 'a client is either registered or described by a document');
  // Else a client would be registered for a profile that cannot be written.
  if (broker.config.current().profiles.has(body.name)) throw new BrokerError('profile_exists', `there is a profile ${body.name} already`);
  const found = await broker.resources.protectedResource(url, body.resource ?? url, await planned(broker, body, new URL(url).origin));
  const issuer = chosen(found.authorizationServers, body.issuer);
  const common = { resource: found.resource, metadata: found.metadataUrl, authorization_servers: found.authorizationServers.map((each) => cleanText(each, 2048)), public_hosts_only: true };
  const scopes = body.scopes ?? found.scopes;
  const scopesFrom = body.scopes === undefined ? found.scopesFrom : 'request';
  if (issuer === null) return { ...common, issuer: null, scopes: [...scopes], scopes_from: scopesFrom, takes: [], client_id: null, redirect_path: null };
  const profile = await planned(broker, body, issuer);
  const { newcomers, offersOffline } = await metadataOf(broker, profile);
  // Without it there is no refresh token at most servers; asked for only where it is offered (MC-02).
  const wanted = OFFLINE !== null && offersOffline && body.scopes === undefined && !scopes.includes(OFFLINE) ? [...scopes, OFFLINE] : [...scopes];
  const client = await clientFor(broker, ask, body, profile, newcomers);
  return {
    ...common, issuer, scopes: wanted, scopes_from: scopesFrom, client_id: client.clientId, redirect_path: client.redirectPath,
    takes: [...(newcomers.registrationEndpoint === null ? [] : ['registration' as const]), ...(newcomers.takesMetadataDocuments ? ['metadata_document' as const] : [])],
  };
}

/** A profile as it would be, of an issuer that may have come from a stranger. */
async function planned(broker: Broker, { name, ca_file: caFile, proxy, allow_loopback_http: allowLoopbackHttp }: Body, issuer: string): Promise<Profile> {
  return broker.config.plan(name, {
    issuer, client_id: NO_CLIENT, public_hosts_only: true,
    ...(caFile === undefined ? {} : { ca_file: caFile }), ...(proxy === undefined ? {} : { proxy }), ...(allowLoopbackHttp === undefined ? {} : { allow_loopback_http: allowLoopbackHttp }),
  });
}

/** Of several a person chooses: who is signed in where is not for the server to say. */
function chosen(servers: readonly string[], named: string | undefined): string | null {
  if (named !== undefined && !servers.includes(named)) throw new BrokerError('bad_request', `the server does not name ${cleanText(named, 256)}, but ${cleanText(servers.join(' and '), 512)}`);
  const [only = null, ...more] = servers;
  return named ?? (more.length === 0 ? only : null);
}

async function metadataOf(broker: Broker, profile: Profile): Promise<{ readonly newcomers: Newcomers; readonly offersOffline: boolean }> {
  const found = await broker.issuer.discover(profile, { fresh: true });
  if (found.kind === 'transient') throw new BrokerError('issuer_unreachable', `${profile.issuer} cannot be reached (${found.cause})`);
  if (found.kind === 'rejected') throw new BrokerError(found.code, found.description);
  return { newcomers: found.newcomers ?? { registrationEndpoint: null, takesMetadataDocuments: false }, offersOffline: found.server.scopesSupported?.includes('offline_access') === true };
}

async function clientFor(broker: Broker, ask: Ask, { register, client_id_metadata: document }: Body, profile: Profile, newcomers: Newcomers): Promise<Client> {
  if (document !== undefined) {
    if (!newcomers.takesMetadataDocuments) throw new BrokerError('registration_refused', `${profile.issuer} does not take a document in the place of a registered client`);
    return { clientId: document, redirectPath: await broker.resources.clientDocument(document, profile) };
  }
  if (register !== true) return { clientId: null, redirectPath: null };
  const { registrationEndpoint: endpoint } = newcomers;
  if (endpoint === null) throw new BrokerError('registration_refused', `${profile.issuer} registers no clients by itself`);
  const clientId = await broker.resources.registerClient(endpoint, [withoutPort(profile)], profile);
  await broker.audit.append({ event: 'client_registered', profile: null, caller: ask.caller, request: ask.requestId, facts: { issuer: profile.issuer, client_id: clientId } });
  return { clientId, redirectPath: profile.redirectPath };
}

/** RFC 8252, section 7.3: the port is whichever is free. */
function withoutPort({ redirectPath }: Profile): string {
  return `http://127.0.0.1${redirectPath}`;
}

function isPartOf(url: string, resource: string): boolean {
  if (!URL.canParse(resource)) return false;
  const [part, whole] = [new URL(url), new URL(resource)];
  return part.origin === whole.origin && (part.pathname === whole.pathname || part.pathname.startsWith(whole.pathname.endsWith('/') ? whole.pathname : `${whole.pathname}/`));
}
