/**
 * From tokens of a sign-in to a stored grant. Nothing is stored before the answer was judged (TK-09) and,
 * where another subject than before signed in, before its starter agreed (LB-11); tokens that are not
 * stored are revoked.
 */
import type { Scope } from '../../shared/names.ts';
import type { AuthorizationServer, Grant, Identity } from '../core/domain.ts';
import { BrokerError, discardedAnswer } from '../core/errors.ts';
import { acceptToken, endsSaid, proofOf } from '../core/grant.ts';
import type { Clock, GrantBook, TokenSet } from '../core/ports.ts';
import { instantOf, momentOf } from '../core/time.ts';
import type { JustInTime } from '../tokens/just-in-time.ts';
import type { Login } from './login.ts';
import { refuseOtherMethods } from './methods.ts';

export type AcceptDeps = {
  readonly clock: Clock;
  readonly book: GrantBook;
  readonly justInTime: Pick<JustInTime, 'hold'>;
  /** Whether the profile is still there. */
  readonly isConfigured: (login: Login) => boolean;
  /** Revokes tokens that nobody will hold. */
  readonly discard: (set: TokenSet) => Promise<void>;
};

export async function acceptSignIn(deps: AcceptDeps, login: Login, server: AuthorizationServer, set: TokenSet): Promise<Identity | null> {
  try {
    return await store(deps, login, server, set);
  } catch (cause) {
    await deps.discard(set);
    throw cause;
  }
}

async function store({ clock, book, justInTime, isConfigured }: AcceptDeps, login: Login, server: AuthorizationServer, set: TokenSet): Promise<Identity | null> {
  const { profile, scopes, flow, justInTime: privilege } = login.facts;
  // Cancelled while the code was being redeemed, which nothing may interrupt.
  login.abort.signal.throwIfAborted();
  const at = instantOf(clock);
  const offline = profile.traits.offlineScope === null ? [] : [profile.traits.offlineScope];
  const asked = { scopes: [...scopes, ...offline], byDefault: privilege?.byDefault ?? true, resource: profile.resource, isStepUp: false, proof: proofOf(set.identity) };
  const accepted = acceptToken(set, asked, profile, at);
  if (accepted.kind === 'discard') {
    throw discardedAnswer(profile, accepted);
  }
  if (privilege === null) refusePrivileged(login, accepted.token.scopes);
  refuseOtherMethods(login.facts, set.identity);
  await confirmSubject(book, login, set.identity);
  if (!isConfigured(login)) throw new BrokerError('unknown_profile', `profile ${profile.name} was removed while somebody signed in; nothing was stored`);
  // Nothing is waited for from here to the commit: what ended the sign-in meanwhile finds no grant of it later.
  login.abort.signal.throwIfAborted();
  const grant: Grant = {
    profile: profile.name, issuer: profile.issuer, clientId: profile.clientId, digest: profile.digest,
    generation: book.nextGeneration(profile.name), server, flow, scopes: grantedScopes(accepted.token.scopes, scopes, offline, profile.resource),
    resource: profile.resource, identity: set.identity, signedInAt: clock.now(), session: { startedAt: momentOf(at), lastActAt: momentOf(at) }, refreshedAt: null, rotates: null, ...endsSaid(set, at, null),
    state: { kind: 'active', refreshToken: privilege === null ? set.refreshToken : null, tokens: [accepted.token] },
  };
  login.signedInAt = grant.signedInAt;
  if (privilege !== null) {
    await justInTime.hold({ profile, grant: { ...grant, generation: 0 }, token: accepted.token, refreshToken: set.refreshToken, login: login.facts.id, caller: login.facts.owner, reason: privilege.reason });
    return set.identity;
  }
  await book.commit(grant, null);
  return set.identity;
}

/** AU-08: an issuer that gives more than was asked for does not bring privileged scopes into a grant that is kept. */
function refusePrivileged({ facts: { profile, privilegedOf } }: Login, granted: readonly Scope[]): void {
  const privileged = privilegedOf(granted);
  if (privileged.length === 0) return;
  throw new BrokerError('issuer_response_invalid', `${profile.issuer} granted what is privileged and was not asked for: ${privileged.join(' ')}; nothing was stored`, {
    hint: `Ask for it by itself: valetkey login ${profile.name} --scope "${privileged.join(' ')}" --reason "why"`,
  });
}

/** The slot of a profile belongs to issuer and sub, never to an email. Who does not say who they are is another. */
async function confirmSubject(book: GrantBook, login: Login, identity: Identity | null): Promise<void> {
  const before = book.get(login.facts.profile.name);
  const previous = before?.identity ?? null;
  if (before === null || previous === null) return;
  if (previous.sub === identity?.sub && before.issuer === login.facts.profile.issuer) return;
  if (!(await login.askForSubject(identity, previous))) {
    throw new BrokerError('subject_mismatch', `another account signed in to profile ${login.facts.profile.name} than before, and the change was not confirmed; nothing was stored`);
  }
}

/** With a resource, issuers list only that resource's scopes, while the grant holds all that were asked for (RFC 8707, section 2.2). */
function grantedScopes(granted: readonly Scope[], asked: readonly Scope[], offline: readonly Scope[], resource: string | null): readonly Scope[] {
  const all = resource === null ? granted : [...new Set([...granted, ...asked])];
  return all.filter((scope) => !offline.includes(scope));
}
