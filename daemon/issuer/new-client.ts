/**
 * A client at an issuer that knows none of ours: registered (RFC 7591), or described by a document whose URL is its id
 * (draft-ietf-oauth-client-id-metadata-document). Public in either case, for one issuer, and native (MD-06, MD-08).
 */
import { isIP } from 'node:net';
import { parseJsonObject } from '../../shared/json-object.ts';
import type { IssuerConnection } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { cleanText } from '../core/text.ts';
import type { Http } from './http.ts';
import { askStranger, objectIn, stringsIn } from './strange-document.ts';

const CLIENT_ID = /^[\x20-\x7e]{1,2048}$/;
const REDIRECTS_MAX = 64;
const CREATED = [200, 201];
/** RFC 8252, section 7.3, in the form that any port fits. */
const LOOPBACK_REDIRECT = /^http:\/\/(?:127\.0\.0\.1|\[::1\])(?::\d{1,5})?(\/[A-Za-z0-9._~/-]{0,128})$/;

/** @returns the client id; what else came, a registration access token among it, is dropped. */
export async function registerClient(http: Http, endpoint: string, redirectUris: readonly string[], connection: IssuerConnection): Promise<string> {
  const asked = {
    client_name: 'Valetkey', application_type: 'native', redirect_uris: redirectUris, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none',
    // Without `scope`: what is named there is all that the client may ever ask for, and a server may want more later (MC-02).
  };
  const answer = await askStranger(http, connection, endpoint, 'registration_refused', { method: 'POST', headers: { accept: 'application/json', 'content-type': 'application/json' }, body: JSON.stringify(asked) });
  const said = parseJsonObject(answer.body);
  if (!CREATED.includes(answer.status) || said === null) {
    const why = typeof said?.['error'] === 'string' ? cleanText([said['error'], said['error_description']].filter((part) => typeof part === 'string').join(': '), 256) : `status ${answer.status}`;
    throw new BrokerError('registration_refused', `${new URL(endpoint).host} registers no client (${why})`);
  }
  const { client_id: id, token_endpoint_auth_method: method } = said;
  if (typeof id !== 'string' || !CLIENT_ID.test(id)) throw new BrokerError('registration_refused', `the answer of ${new URL(endpoint).host} holds no client id`);
  // RFC 7591, section 3.2.1: a server may change what was asked for. A secret of ours would be in a file of a laptop (MD-07).
  if (method !== undefined && method !== 'none') throw new BrokerError('registration_refused', `${new URL(endpoint).host} registered a client with a secret, and not a public one as was asked`);
  return id;
}

/** @returns the path of its loopback redirect */
export async function readClientDocument(http: Http, url: string, connection: IssuerConnection): Promise<string> {
  const invalid = (why: string): BrokerError => new BrokerError('client_document_invalid', `${cleanText(url)} ${why}`);
  const { pathname, hostname } = new URL(URL.canParse(url) ? url : 'http://invalid/');
  // Section 3: https, with a path, and no dots in it; http on loopback is for development.
  if (pathname === '/' || /\/\.{1,2}(?:\/|$)/.test(url) || (isIP(hostname) !== 0 && !connection.allowLoopbackHttp)) throw invalid('is no URL that a client could have as its id');
  const document = objectIn(await askStranger(http, connection, url, 'client_document_invalid'));
  if (document === null) throw invalid('is no JSON document');
  // To the letter: a document that speaks of another client would make its redirects ours.
  if (document['client_id'] !== url) throw invalid(`describes the client ${cleanText(String(document['client_id']), 256)}`);
  const method = document['token_endpoint_auth_method'];
  if (method !== undefined && method !== 'none') throw invalid('describes a client with a secret or a key, and not a public one');
  const path = (stringsIn(document['redirect_uris'], REDIRECTS_MAX) ?? []).flatMap((uri) => LOOPBACK_REDIRECT.exec(uri)?.[1] ?? [])[0];
  if (path === undefined) throw invalid('names no redirect on 127.0.0.1');
  return path;
}
