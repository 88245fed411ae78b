/**
 * openid-client's view of a pinned authorization server: what was discovered at the sign-in and nothing that
 * a later metadata document says (AZ-06).
 */
import { ClientSecretPost, Configuration, None, allowInsecureRequests, customFetch } from 'openid-client';
import type { ClientAuth, CustomFetch, ServerMetadata } from 'openid-client';
import type { AuthorizationServer } from '../core/domain.ts';
import type { ClientAt } from '../core/ports.ts';
import { AnswerRefused } from './failures.ts';

export function configure(client: ClientAt, fetch: CustomFetch): Configuration {
  const configuration = new Configuration(metadataOf(client.server), client.clientId, undefined, clientAuth(client));
  configuration[customFetch] = fetch;
  // http.ts has the one time limit, over request and body.
  configuration.timeout = 0;
  // Only lifts openid-client's own check; http.ts refuses every http that is not literal loopback.
  if (client.connection.allowLoopbackHttp) allowInsecureRequests(configuration);
  return configuration;
}

export function metadataOf(server: AuthorizationServer): ServerMetadata {
  return {
    issuer: server.issuer,
    authorization_endpoint: server.authorizationEndpoint,
    token_endpoint: server.tokenEndpoint,
    ...(server.revocationEndpoint === null ? {} : { revocation_endpoint: server.revocationEndpoint }),
    ...(server.deviceAuthorizationEndpoint === null ? {} : { device_authorization_endpoint: server.deviceAuthorizationEndpoint }),
    ...(server.pushedAuthorizationRequestEndpoint === null ? {} : { pushed_authorization_request_endpoint: server.pushedAuthorizationRequestEndpoint }),
    authorization_response_iss_parameter_supported: server.issParameterSupported,
  };
}

function clientAuth({ clientAuth: method, clientId, clientSecret }: ClientAt): ClientAuth {
  if (method === 'none') return None();
  if (clientSecret === null || clientSecret.reveal() === '') {
    throw new AnswerRefused('client_secret_required', `client ${clientId} authenticates by ${method}, and the vault holds no secret for it`);
  }
  const secret = clientSecret.reveal();
  if (method === 'client_secret_post') return ClientSecretPost(secret);
  // openid-client's own also encodes - . _ *, which servers that do not decode take for another client.
  return (_server, _client, _body, headers) => {
    headers.set('authorization', `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret)}`).toString('base64')}`);
  };
}

/** application/x-www-form-urlencoded, as RFC 6749, section 2.3.1 wants it. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}
