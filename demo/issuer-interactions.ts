/** Sign-in and consent: serves the two pages and turns their forms into results for oidc-provider. */
import type Provider from 'oidc-provider';
import type { SignIn } from './issuer.ts';
import { consentPage, signInPage } from './issuer-pages.ts';

/** Forms of these pages are tiny; more is not read. */
const FORM_MAX_BYTES = 8 * 1024;

async function readForm(body: AsyncIterable<Buffer>): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > FORM_MAX_BYTES) throw new Error('the form is too large');
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

const names = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);

/** Grants everything that the prompt says is still missing. */
async function grantAll(provider: Provider, interaction: Awaited<ReturnType<Provider['interactionDetails']>>): Promise<string> {
  const accountId = interaction.session?.accountId;
  const known = interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  const grant = known ?? new provider.Grant({ accountId, clientId: String(interaction.params['client_id']) });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = interaction.prompt.details;
  grant.addOIDCScope(names(missingOIDCScope).join(' '));
  grant.addOIDCClaims([...names(missingOIDCClaims)]);
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) grant.addResourceScope(resource, names(scopes).join(' '));
  return grant.save();
}

export function serveInteractions(provider: Provider, signIn: (login: string, params: Readonly<Record<string, unknown>>) => SignIn): void {
  provider.use(async (ctx, next) => {
    if (!/^\/interaction\/[\w-]+$/.test(ctx.path)) return next();
    ctx.set('cache-control', 'no-store');
    const interaction = await provider.interactionDetails(ctx.req, ctx.res);
    const { prompt, params } = interaction;

    if (ctx.method === 'GET') {
      const clientId = String(params['client_id']);
      const { missingOIDCScope, missingResourceScopes } = prompt.details;
      const wanted = [
        ...names(missingOIDCScope),
        ...Object.entries(missingResourceScopes ?? {}).flatMap(([resource, scopes]) => names(scopes).map((scope) => `${scope} at ${resource}`)),
      ];
      ctx.type = 'html';
      ctx.body = prompt.name === 'login'
        ? signInPage(clientId, String(params['login_hint'] ?? ''))
        : consentPage(clientId, interaction.session?.accountId ?? '', wanted);
      return;
    }

    const form = await readForm(ctx.req);
    const login = form.get('login')?.trim() ?? '';
    const result = await (async () => {
      if (form.get('action') === 'deny') return { error: 'access_denied', error_description: 'the person said no' };
      if (prompt.name !== 'login') return { consent: { grantId: await grantAll(provider, interaction) } };
      const { acr, amr, authTime } = signIn(login, params);
      return { login: { accountId: login, ...(acr === undefined ? {} : { acr }), ...(amr === undefined ? {} : { amr: [...amr] }), ...(authTime === undefined ? {} : { ts: authTime }) } };
    })();
    if (prompt.name === 'login' && login === '' && !('error' in result)) {
      ctx.status = 400;
      ctx.body = 'a name is needed';
      return;
    }
    ctx.status = 303;
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: prompt.name !== 'login' }));
  });
}
