/**
 * How a workload's client proves itself: by an assertion that it signs (RFC 7523 with RFC 10070) or that somebody
 * vouches with. AU-07: what is signed here names the issuer as its only audience, whatever endpoint it is sent to, so
 * that an issuer which claims another's endpoint cannot have one made for that other; it says that it is for client
 * authentication, is good once, and for a minute.
 */
import { exportJWK, generateKeyPair, importJWK, calculateJwkThumbprint, SignJWT } from 'jose';
import { allowInsecureRequests, Configuration, customFetch } from 'openid-client';
import type { CustomFetch } from 'openid-client';
import type { KeyAlg } from '../../shared/workload-schemas.ts';
import type { Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import type { ClientKey, WorkloadAt } from '../core/workload.ts';
import { metadataOf } from './configuration.ts';
import type { Skews } from './skew.ts';

export type AssertionDeps = { readonly skews: Pick<Skews, 'nowMsAt'>; readonly random: Pick<Random, 'token'> };

const LIFE_S = 60;
const JTI_BYTES = 16;
/** RFC 8017 keys that will still do in ten years (SP 800-57, part 1). */
const RSA_BITS = 3072;

export async function makeClientKey(alg: KeyAlg): Promise<ClientKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: RSA_BITS });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const members = Object.entries(jwk).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : []));
  return {
    kid, alg, publicJwk: { ...Object.fromEntries(members), kid, alg, use: 'sig' },
    privateJwk: new Secret(JSON.stringify(await exportJWK(privateKey))),
  };
}

export async function signAssertion({ skews, random }: AssertionDeps, { issuer }: WorkloadAt['server'], clientId: string, { alg, kid, privateJwk }: ClientKey): Promise<string> {
  const nowS = Math.floor(skews.nowMsAt(issuer) / 1000);
  const key = await importJWK(JSON.parse(privateJwk.reveal()), alg);
  return new SignJWT({ jti: random.token(JTI_BYTES) })
    .setProtectedHeader({ alg, kid, typ: 'client-authentication+jwt' })
    .setIssuer(clientId).setSubject(clientId).setAudience(issuer).setIssuedAt(nowS).setExpirationTime(nowS + LIFE_S)
    .sign(key);
}

/** For one request: an assertion is not used twice. */
export async function configureWorkload(deps: AssertionDeps, client: WorkloadAt, fetch: CustomFetch): Promise<Configuration> {
  const { proof, server, clientId } = client;
  const assertion = proof.kind === 'key' ? await signAssertion(deps, server, clientId, proof.key) : proof.assertion.reveal();
  const type = proof.kind === 'key' ? 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' : proof.type;
  const configuration = new Configuration(metadataOf(server), clientId, undefined, (_server, _client, body) => {
    body.set('client_id', clientId);
    body.set('client_assertion_type', type);
    body.set('client_assertion', assertion);
  });
  configuration[customFetch] = fetch;
  // http.ts has the one time limit, over request and body.
  configuration.timeout = 0;
  if (client.connection.allowLoopbackHttp) allowInsecureRequests(configuration);
  return configuration;
}
