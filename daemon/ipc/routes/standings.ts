/**
 * Of every profile the two questions that people ask: is somebody signed in, and until when. The end of the session
 * is told apart from that of its tokens: an expired token is nothing to act on while the sign-in can be refreshed.
 */
import type * as v from 'valibot';
import type { promptRequest, PromptReply, StandingView } from '../../../shared/standing-schemas.ts';
import type { Caller, Grant, Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';
import { endsOf } from './grant-views.ts';

const seconds = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1000));

export function standings(broker: Broker, caller: Caller): StandingView[] {
  return [...broker.config.current().profiles.values()].map((profile) => standing(broker, profile, caller));
}

function standing(broker: Broker, { name, digest }: Profile, caller: Caller): StandingView {
  const nobody = { profile: name, session_ends_at: null, idle_ends_at: null, token_ends_at: null };
  const grant = broker.book.get(name);
  if (isClosed(broker)) return { ...nobody, state: 'unknown', reason: null };
  if (grant === null) return { ...nobody, state: 'login_required', reason: broker.book.absence(name) };
  if (grant.digest !== digest) return { ...nobody, state: 'login_required', reason: 'grant_rebound' };
  if (grant.state.kind === 'parked') return { ...nobody, state: 'login_required', reason: grant.state.reason };
  const ends = endsOf(broker, grant, caller);
  if (ends.isOver) return { ...nobody, state: 'login_required', reason: 'session_limit' };
  const tokenEndsAt = lastTokenEnd(grant);
  // Without a refresh token the sign-in ends with the last token.
  const session = earliest(grant.authorizationExpiresAt, ends.session, grant.state.refreshToken === null ? tokenEndsAt : null);
  const isOver = session !== null && session <= broker.clock.now();
  return isOver ? { ...nobody, state: 'login_required', reason: 'expired' } : {
    profile: name, state: 'signed_in', reason: null, session_ends_at: seconds(session),
    idle_ends_at: seconds(earliest(grant.refreshTokenExpiresAt, ends.idle)), token_ends_at: seconds(tokenEndsAt),
  };
}

function isClosed({ lifecycle, vault }: Broker): boolean {
  return lifecycle.shut !== null || vault.status().state !== 'open';
}

function lastTokenEnd({ state }: Grant): number | null {
  return state.kind !== 'active' || state.tokens.length === 0 ? null : Math.max(...state.tokens.map(({ expiresAt }) => expiresAt));
}

function earliest(...ends: readonly (number | null)[]): number | null {
  const known = ends.filter((end) => end !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** Longer, and it is no part of a prompt any more. */
const SHOWN = 3;

/** POST /v1/prompt: one short word a profile, of letters that no shell takes for its own. Nothing is started, read or asked for. */
export function prompt(broker: Broker, ask: Ask): PromptReply {
  const { profile } = ask.body as v.InferOutput<typeof promptRequest>; // parsed by this method's schema
  const all = standings(broker, ask.caller);
  if (profile !== undefined && !all.some((each) => each.profile === profile)) throw new BrokerError('unknown_profile', `there is no profile ${profile}`);
  const asked = profile === undefined ? all : all.filter((each) => each.profile === profile);
  if (asked.length === 0) return { text: '', state: 'nothing' };
  if (isClosed(broker)) return { text: 'locked', state: 'locked' };
  const now = Math.floor(broker.clock.now() / 1000);
  // What a person has to act on comes first.
  const sorted = asked.toSorted((a, b) => Number(a.state === 'signed_in') - Number(b.state === 'signed_in'));
  const words = sorted.slice(0, SHOWN).map((each) => `${each.profile}:${left(each, now)}`);
  const more = sorted.length > SHOWN ? [`+${sorted.length - SHOWN}`] : [];
  return { text: [...words, ...more].join(' '), state: asked.every(({ state }) => state === 'signed_in') ? 'signed_in' : 'login_required' };
}

/** `7h`, `42m`, `3d`: of the sign-in if nobody does anything, and never of its token. */
function left({ state, session_ends_at: session, idle_ends_at: idle }: StandingView, now: number): string {
  if (state !== 'signed_in') return 'login';
  const end = earliest(session, idle);
  if (end === null) return 'ok';
  const minutes = Math.max(0, Math.floor((end - now) / 60));
  if (minutes < 90) return `${minutes}m`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)}h` : `${Math.floor(minutes / 1_440)}d`;
}
