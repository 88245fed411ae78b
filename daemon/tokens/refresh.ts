/**
 * One refresh of one grant: intent on disk, token on the wire, new generation on disk, audit. From the
 * moment the refresh token is sent nothing aborts the save (RFC 9700, section 4.14.2: it may be the only
 * valid one). What came of it is returned; waiters judge it for themselves.
 */
import type { ErrorCode, LoginReason } from '../../shared/errors.ts';
import type { Scope } from '../../shared/names.ts';
import type { AccessToken, Grant, Profile } from '../core/domain.ts';
import { BrokerError, unreachable } from '../core/errors.ts';
import { acceptToken, parked, refreshed } from '../core/grant.ts';
import type { Audit, Clock, GrantBook, Issuer, Log, Rejected, TokenSet, Transient, Vault } from '../core/ports.ts';
import { mayResend } from './grant-book.ts';
import type { Revocations } from './revocations.ts';

export type RefreshDeps = {
  readonly issuer: Issuer;
  readonly vault: Vault;
  readonly book: GrantBook;
  readonly revocations: Pick<Revocations, 'revokeSet'>;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
};

export type RefreshOutcome =
  | { readonly kind: 'refreshed'; readonly token: AccessToken | null; readonly discarded: string | null }
  | { readonly kind: 'transient'; readonly transient: Transient }
  | { readonly kind: 'parked'; readonly reason: LoginReason }
  /** The issuer refused this request; the grant is as it was. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  /** Logout, login or lock came first: nothing of the answer was kept. */
  | { readonly kind: 'overtaken' };

export type RefreshWant = { readonly scopes: readonly Scope[] | null; readonly resource: string | null };

export async function refreshGrant(deps: RefreshDeps, grant: Grant, profile: Profile, want: RefreshWant): Promise<RefreshOutcome> {
  const { issuer, vault, clock } = deps;
  if (grant.state.kind !== 'active' || grant.state.refreshToken === null) throw new Error('there is no refresh token to send');
  const clientSecret = profile.clientAuth === 'none' ? null : await vault.clientSecret(profile.name, profile.digest);
  const sentAt = clock.now();
  await vault.beginRefresh(profile.name, { generation: grant.generation, at: sentAt });
  const client = { server: grant.server, clientId: grant.clientId, clientAuth: profile.clientAuth, clientSecret, connection: profile };
  // Without scopes of its own the request leaves them out: the issuer then grants what the sign-in was granted (RFC 6749, section 6).
  const outcome = await issuer.refresh(client, profile, grant.state.refreshToken, { scopes: want.scopes ?? [], resource: want.resource }, grant.identity);
  switch (outcome.kind) {
    case 'tokens':
      return keep(deps, grant, profile, want, outcome.tokens);
    case 'transient':
      return outcome.answerLost && !mayResend(grant, sentAt, profile.traits.refreshGraceS, clock.now())
        ? park(deps, grant, 'refresh_answer_lost', outcome.cause)
        : giveUp(deps, grant, { kind: 'transient', transient: outcome }, outcome.cause);
    case 'rejected':
      return judge(deps, grant, outcome);
    default:
      return unreachable(outcome);
  }
}

async function keep(deps: RefreshDeps, grant: Grant, profile: Profile, want: RefreshWant, set: TokenSet): Promise<RefreshOutcome> {
  const now = deps.clock.now();
  const acr = set.identity?.acr ?? grant.identity?.acr ?? null;
  // offline_access may come back with any answer; it was asked for at the sign-in.
  const offline = profile.traits.offlineScope === null ? [] : [profile.traits.offlineScope];
  const asked = { scopes: [...(want.scopes ?? grant.scopes), ...offline], byDefault: want.scopes === null, resource: want.resource, acr };
  const accepted = acceptToken(set, asked, profile, now);
  const token = accepted.kind === 'token' ? accepted.token : null;
  // A discarded access token (TK-09) is not stored; the refresh token that came with it is, as the old one is spent.
  const next = refreshed(grant, set, token, now);
  if ((await deps.book.commit(next, grant.generation)) === 'conflict') {
    deps.log.info('refresh_overtaken', { profile: grant.profile, generation: grant.generation });
    await deps.revocations.revokeSet(profile, grant.server, set);
    return { kind: 'overtaken' };
  }
  await record(deps, grant, 'token_refreshed', { generation: next.generation, rotated: next.rotates, scopes: token?.scopes ?? [], resource: want.resource });
  return { kind: 'refreshed', token, discarded: accepted.kind === 'discard' ? accepted.why : null };
}

/** invalid_grant is a verdict on the token that was sent; everything else leaves the grant alone. */
async function judge(deps: RefreshDeps, grant: Grant, rejected: Rejected): Promise<RefreshOutcome> {
  if (rejected.code === 'id_token_invalid') return park(deps, grant, 'identity_changed', rejected.description); // ID-03
  if (rejected.oauthError === 'invalid_grant') return park(deps, grant, 'revoked_or_reused', rejected.description); // TK-06
  if (rejected.oauthError === 'invalid_scope') { // RFC 6749, section 6: beyond what was originally granted
    return giveUp(deps, grant, { kind: 'refused', code: 'scope_not_granted', message: `${grant.issuer} does not grant these scopes to this sign-in` }, 'invalid_scope');
  }
  if (rejected.oauthError === 'invalid_target') { // RFC 8707, section 2
    return giveUp(deps, grant, { kind: 'refused', code: 'resource_not_granted', message: `${grant.issuer} does not grant this resource to this sign-in` }, 'invalid_target');
  }
  const said = rejected.oauthError === null ? '' : ` (${rejected.oauthError})`;
  return giveUp(deps, grant, { kind: 'refused', code: rejected.code, message: `${grant.issuer} refused the refresh${said}: ${rejected.description}` }, rejected.oauthError ?? rejected.code);
}

/** I3: parking erases the tokens. A conflict means that somebody already put something newer there. */
async function park(deps: RefreshDeps, grant: Grant, reason: LoginReason, why: string): Promise<RefreshOutcome> {
  deps.log.warn('grant_parked', { profile: grant.profile, reason, why });
  if ((await deps.book.commit(parked(grant, reason, deps.clock.now()), grant.generation)) === 'conflict') return { kind: 'overtaken' };
  await record(deps, grant, 'grant_parked', { reason, why });
  return { kind: 'parked', reason };
}

async function giveUp(deps: RefreshDeps, grant: Grant, outcome: RefreshOutcome, why: string): Promise<RefreshOutcome> {
  deps.log.warn('refresh_failed', { profile: grant.profile, why });
  try {
    await deps.vault.abandonRefresh(grant.profile);
  } catch (cause) {
    // The intent stays: at the next start it reads as a lost answer, which costs a sign-in and loses nothing.
    if (!(cause instanceof BrokerError)) throw cause;
    deps.log.warn('vault_unwritable', { profile: grant.profile, why: cause.message });
  }
  await record(deps, grant, 'refresh_failed', { why });
  return outcome;
}

function record(deps: RefreshDeps, grant: Grant, event: 'token_refreshed' | 'refresh_failed' | 'grant_parked', facts: Readonly<Record<string, unknown>>): Promise<void> {
  return deps.audit.append({ event, profile: grant.profile, caller: null, request: null, facts: { issuer: grant.issuer, ...facts } });
}
