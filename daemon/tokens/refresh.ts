/**
 * One refresh of one grant: connection, intent on disk, token on the wire, new generation on disk, audit. From the
 * moment the refresh token is sent nothing aborts the save (RFC 9700, section 4.14.2: it may be the only
 * valid one). What came of it is returned; waiters judge it for themselves.
 */
import type { ErrorCode, LoginReason } from '../../shared/errors.ts';
import type { ProfileName } from '../../shared/names.ts';
import type { AccessToken, AuthorizationServer, Grant, Profile } from '../core/domain.ts';
import { unreachable } from '../core/errors.ts';
import type { Fingerprints } from '../core/fingerprints.ts';
import { acceptToken, parked, refreshed } from '../core/grant.ts';
import { grantFacts } from '../core/grant-facts.ts';
import type { Proof } from '../core/grant.ts';
import { instantOf } from '../core/time.ts';
import type { Instant } from '../core/time.ts';
import type { Audit, ClientAt, Clock, GrantBook, Issuer, IssuerOutcome, Log, TokenSet, Transient, Vault } from '../core/ports.ts';
import { Intent } from './intent.ts';
import type { IntentDeps } from './intent.ts';
import { mayResend } from './grant-book.ts';
import { judge } from './refresh-verdict.ts';
import type { RefreshWant } from './refresh-verdict.ts';
import type { Revocations } from './revocations.ts';

export type RefreshDeps = IntentDeps & {
  readonly issuer: Issuer;
  readonly vault: Vault;
  readonly book: GrantBook;
  readonly revocations: Pick<Revocations, 'revokeSet'>;
  readonly audit: Audit;
  readonly fingerprints: Fingerprints;
  readonly clock: Clock;
  readonly log: Log;
  /** The pinned server, with what else is known of it by now. */
  readonly serverOf: (grant: Grant) => AuthorizationServer;
  readonly onRefreshed: (profile: ProfileName) => void;
};

export type RefreshOutcome =
  | { readonly kind: 'refreshed'; readonly token: AccessToken | null; readonly discarded: { readonly why: string; readonly hint: string | null } | null }
  | { readonly kind: 'transient'; readonly transient: Transient }
  /** `lost`: what became of the answer, where that is why. */
  | { readonly kind: 'parked'; readonly reason: LoginReason; readonly lost: Transient | null }
  /** The issuer refused this request; the grant is as it was. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string; readonly reason: LoginReason | null }
  /** Logout, login or lock came first: nothing of the answer was kept. */
  | { readonly kind: 'overtaken' };

export async function refreshGrant(deps: RefreshDeps, held: Grant, profile: Profile, want: RefreshWant): Promise<RefreshOutcome> {
  const grant: Grant = { ...held, server: deps.serverOf(held) };
  const { issuer, vault, book, clock } = deps;
  if (grant.state.kind !== 'active' || grant.state.refreshToken === null) throw new Error('there is no refresh token to send');
  const { refreshToken } = grant.state;
  const graceS = profile.traits.refreshGraceS;
  const unanswered = book.unanswered(profile.name);
  if (unanswered !== null && !mayResend(grant, unanswered, graceS, instantOf(clock))) return park(deps, grant, 'refresh_answer_lost', 'the grace is over');
  const clientSecret = profile.clientAuth === 'none' ? null : await vault.clientSecret(profile.name, profile.digest);
  // The first sending counts: the grace of the issuer runs from there.
  const sent = unanswered ?? instantOf(clock);
  const intent = new Intent(deps, held, sent);
  const client: ClientAt = { server: grant.server, clientId: grant.clientId, clientAuth: profile.clientAuth, clientSecret, connection: profile };
  // Without scopes of its own the request leaves them out: the issuer then grants what the sign-in was granted (RFC 6749, section 6).
  const send = (): Promise<IssuerOutcome> => issuer.refresh(client, profile, refreshToken, { scopes: want.scopes ?? [], resource: want.resource }, grant.identity, () => intent.write());
  // @fault refresh.claimed
  let outcome: IssuerOutcome;
  try {
    outcome = await send();
  } catch (cause) {
    if (!intent.isOvertaken) throw cause;
    return { kind: 'overtaken' };
  }
  // @fault refresh.answered
  // TK-05: an answer that was lost is asked for once more, at once, where the issuer is known to allow it.
  const isLost = outcome.kind === 'transient' && outcome.answerLost;
  if (isLost && unanswered === null && grant.rotates !== false && mayResend(grant, sent, graceS, instantOf(clock))) outcome = await send();
  switch (outcome.kind) {
    case 'tokens':
      return keep(deps, grant, profile, want, outcome.tokens);
    case 'transient':
      return wait(deps, grant, intent, outcome, isLost || unanswered !== null ? sent : null);
    case 'rejected': {
      if (outcome.tokens !== null) await deps.revocations.revokeSet(profile, grant.server, outcome.tokens);
      const verdict = judge(outcome, grant, want);
      return verdict.kind === 'park'
        ? park(deps, grant, verdict.reason, outcome.description)
        : giveUp(deps, grant, intent, verdict, outcome.oauthError ?? outcome.code, isLost || unanswered !== null ? sent : null);
    }
    default:
      return unreachable(outcome);
  }
}

async function keep(deps: RefreshDeps, grant: Grant, profile: Profile, want: RefreshWant, set: TokenSet): Promise<RefreshOutcome> {
  const at = instantOf(deps.clock);
  // auth_time is that of the sign-in, whatever a later ID token says (OIDC Core, section 12.2).
  const proof: Proof = { acr: set.identity?.acr ?? grant.identity?.acr ?? null, amr: (set.identity ?? grant.identity)?.amr ?? [], authTime: grant.identity?.authTime ?? null };
  // An issuer may answer a narrower request with all that the sign-in was granted (RFC 6749, section 3.3);
  // offline_access may come back with any answer.
  const offline = profile.traits.offlineScope === null ? [] : [profile.traits.offlineScope];
  const asked = { scopes: [...(want.scopes ?? []), ...grant.scopes, ...offline], byDefault: want.scopes === null, resource: want.resource, isStepUp: false, proof };
  const accepted = acceptToken(set, asked, profile, at);
  const token = accepted.kind === 'token' ? accepted.token : null;
  // A discarded access token (TK-09) is not stored; the refresh token that came with it is, as the old one is spent.
  const next = refreshed(grant, set, token, profile.traits.resourceStyle === 'scope_prefix', at);
  if ((await deps.book.commit(next, grant.generation)) === 'conflict') {
    deps.log.info('refresh_overtaken', { profile: grant.profile, generation: grant.generation });
    await deps.revocations.revokeSet(profile, grant.server, set);
    return { kind: 'overtaken' };
  }
  // @fault refresh.saved
  deps.onRefreshed(grant.profile);
  await record(deps, grant, 'token_refreshed', {
    token: token === null ? null : deps.fingerprints.of(token.value), generation: next.generation, rotated: next.rotates, scopes: token?.scopes ?? [], resource: want.resource,
    acr: token?.acr ?? null, expires_at: token === null ? null : Math.floor(token.expiresAt / 1000),
  });
  // @fault refresh.audited
  return { kind: 'refreshed', token, discarded: accepted.kind === 'discard' ? accepted : null };
}

/** @param lostSince - when the refresh token was first sent without an answer; null: no answer was lost */
async function wait(deps: RefreshDeps, grant: Grant, intent: Intent, transient: Transient, lostSince: Instant | null): Promise<RefreshOutcome> {
  if (grant.rotates === false || (lostSince === null && !transient.answerLost)) {
    return giveUp(deps, grant, intent, { kind: 'transient', transient }, transient.cause);
  }
  const second = lostSince !== null && transient.answerLost;
  if (second || lostSince === null) return park(deps, grant, 'refresh_answer_lost', transient.cause, transient);
  // The second sending surely did not arrive: the intent stays, and within the grace it is tried again.
  deps.book.markUnanswered(grant.profile, lostSince);
  await record(deps, grant, 'refresh_failed', { why: transient.cause });
  return { kind: 'transient', transient };
}

/** I3: parking erases the tokens. A conflict means that somebody already put something newer there. */
async function park(deps: RefreshDeps, grant: Grant, reason: LoginReason, why: string, lost: Transient | null = null): Promise<RefreshOutcome> {
  if ((await deps.book.commit(parked(grant, reason, deps.clock.now()), grant.generation)) === 'conflict') return { kind: 'overtaken' };
  deps.log.warn('grant_parked', { profile: grant.profile, reason, why });
  await record(deps, grant, 'grant_parked', { reason, why });
  return { kind: 'parked', reason, lost };
}

async function giveUp(deps: RefreshDeps, grant: Grant, intent: Intent, outcome: RefreshOutcome, why: string, lostSince: Instant | null = null): Promise<RefreshOutcome> {
  deps.log.warn('refresh_failed', { profile: grant.profile, why });
  if (lostSince !== null && grant.rotates !== false) {
    deps.book.markUnanswered(grant.profile, lostSince);
    await record(deps, grant, 'refresh_failed', { why });
    return outcome;
  }
  await intent.abandon();
  await record(deps, grant, 'refresh_failed', { why });
  return outcome;
}

function record(deps: RefreshDeps, grant: Grant, event: 'token_refreshed' | 'refresh_failed' | 'grant_parked', facts: Readonly<Record<string, unknown>>): Promise<void> {
  return deps.audit.append({ event, profile: grant.profile, caller: null, request: null, facts: { ...grantFacts(grant, deps.fingerprints), ...facts } });
}
