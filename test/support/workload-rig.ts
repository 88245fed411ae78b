/** Workloads at the embedded issuer: their tables in a configuration, and the client that the issuer knows by its keys. */
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { InProcess } from './in-process.ts';

export function workloadToml(name: string, issuer: string, more = ''): string {
  return `[workloads.${name}]\nissuer = "${issuer}"\nclient_id = "${name}-client"\nallow_loopback_http = true\nowner = "team EXAMPLE"\npurpose = "a test"\nexpires = "2099-01-01"\n${more}\n`;
}

/** What a person does with the keys that `workload init` prints. */
export function registerKeys(issuer: EmbeddedIssuer, name: string, jwks: readonly object[]): void {
  issuer.registerClient({
    id: `${name}-client`, redirectPaths: [],
    metadata: {
      token_endpoint_auth_method: 'private_key_jwt', grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
      jwks: { keys: jwks }, scope: 'read write admin',
    },
  });
}

/** Makes its first key, and registers it. */
export async function initWorkload(vk: InProcess, issuer: EmbeddedIssuer, name: string, alg = 'ES256'): Promise<void> {
  const made = await vk.api('POST', `/v1/workloads/${name}/keys`, { step: 'init', alg });
  if (made.status !== 200) throw new Error(`no key was made: ${made.text}`);
  registerKeys(issuer, name, made.body.workload.keys.map(({ jwk }: { jwk: object }) => jwk));
}

export type DecodedAssertion = { readonly header: Readonly<Record<string, unknown>>; readonly claims: Readonly<Record<string, unknown>> };

export function decodeAssertion(jwt: unknown): DecodedAssertion {
  const [header = '', claims = ''] = String(jwt).split('.');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Readonly<Record<string, unknown>>;
  return { header: read(header), claims: read(claims) };
}
