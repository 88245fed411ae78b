/**
 * Watches the embedded issuer from both sides: what comes in and goes out over HTTP, and what its models
 * store. The two overlap on purpose: an answer that is lost on the way was minted all the same.
 */
import type Provider from 'oidc-provider';
import { endpointOf } from './issuer-endpoints.ts';
import type { IssuerLedger } from './issuer-ledger.ts';

export type TrafficOptions = {
  readonly path: string;
  readonly issParameter: boolean;
  readonly editMetadata: (metadata: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
};

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Buffer.isBuffer(value);
}

export function recordTraffic(provider: Provider, ledger: IssuerLedger, { path, issParameter, editMetadata }: TrafficOptions): void {
  provider.use(async (ctx, next) => {
    const endpoint = endpointOf(ctx.url, path);
    const request = {
      at: Date.now(), method: ctx.method, endpoint, url: ctx.url, headers: { ...ctx.headers },
      params: { ...ctx.query } as Readonly<Record<string, unknown>>, status: null as number | null,
    };
    ledger.requests.push(request);
    ledger.mintFrom(request.params);
    ledger.mintFromBasic(ctx.get('authorization'));
    try {
      await next();
    } finally {
      const body: unknown = 'oidc' in ctx && isRecord(ctx['oidc']) ? ctx['oidc']['body'] : undefined;
      if (isRecord(body)) {
        request.params = { ...request.params, ...body };
        ledger.mintFrom(body);
      }
      request.status = ctx.status;
    }

    if (isRecord(ctx.body)) ledger.mintFrom(ctx.body);
    if (endpoint === 'discovery' && isRecord(ctx.body)) {
      ctx.body = editMetadata(issParameter ? ctx.body : { ...ctx.body, authorization_response_iss_parameter_supported: undefined });
    }
    const location = ctx.response.get('location');
    if (endpoint === 'authorization' && URL.canParse(location)) {
      const target = new URL(location);
      ledger.mintFrom(Object.fromEntries(target.searchParams));
      if (!issParameter && target.searchParams.has('iss')) {
        target.searchParams.delete('iss');
        ctx.set('location', target.href);
      }
    }
  });

  // Stored under the value itself: all opaque tokens and codes are.
  provider.on('authorization_code.saved', (code) => ledger.mint('authorization_code', code.jti));
  provider.on('refresh_token.saved', (token) => ledger.mint('refresh_token', token.jti));
  provider.on('access_token.saved', (token) => ledger.mint('access_token', token.jti));
  provider.on('client_credentials.saved', (token) => ledger.mint('access_token', token.jti));
  provider.on('device_code.saved', (code) => ledger.mint('device_code', code.jti));

  provider.on('refresh_token.consumed', (token) => ledger.note('refresh_token.consumed', token.grantId ?? ''));
  provider.on('authorization_code.consumed', (code) => ledger.note('authorization_code.consumed', code.grantId ?? ''));
  provider.on('grant.revoked', (_ctx, grantId) => ledger.note('grant.revoked', grantId));
  provider.on('grant.success', (ctx) => ledger.note('grant.success', String(ctx.oidc.params?.['grant_type'] ?? '')));
  provider.on('grant.error', (_ctx, error) => ledger.note('grant.error', error.error));
  provider.on('authorization.error', (_ctx, error) => ledger.note('authorization.error', error.error));
}
