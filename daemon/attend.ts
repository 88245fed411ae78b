/**
 * Everything that tells a person, or a command of theirs, what happened: notifications at the desktop, hooks, and the
 * events that are made for them (a sign-in is needed, a session is about to end). All of it listens; nothing here is
 * asked before something is decided, and nothing waits for it.
 */
import { setMaxListeners } from 'node:events';
import type { ProfileName } from '../shared/names.ts';
import type { Caller, Grant, Profile } from './core/domain.ts';
import type { ReadHooks, RunHook } from './core/hook.ts';
import type { AuditEvent, Clock, ConfigStore, Desktop, GrantBook, Log } from './core/ports.ts';
import { instantOf } from './core/time.ts';
import type { Gate } from './gate.ts';
import type { Events, Policies } from './ipc/routes/broker.ts';
import { rulesFor } from './ipc/routes/grant-views.ts';
import { Hooks } from './notices/hooks.ts';
import { Lately } from './notices/lately.ts';
import { Notifications } from './notices/notifications.ts';
import { tellSessionEnds } from './notices/session-ends.ts';
import type { SessionEnd } from './notices/session-ends.ts';
import { sessionLimits } from './policy/assurance.ts';
import { sessionEnds } from './tokens/session.ts';

export type AttendDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: Pick<ConfigStore, 'current'>;
  readonly policies: Pick<Policies, 'inForce'>;
  readonly book: Pick<GrantBook, 'list'>;
  readonly desktop: Pick<Desktop, 'find' | 'tell'>;
  readonly hooks: { readonly read: ReadHooks; readonly run: RunHook };
  readonly gate: Gate;
  readonly events: Events;
  readonly askers: Pick<Askers, 'of'>;
  readonly signal: AbortSignal;
};

export type Attending = {
  readonly hooks: Pick<Hooks, 'reload' | 'look' | 'trouble'>;
  /** A program was turned away, and nobody signs in yet. */
  readonly loginNeeded: (profile: ProfileName, reason: string, caller: Caller) => void;
};

/** A program that asks in a loop is one event a minute. */
const NEEDED_MS = 60_000;

export async function attend(deps: AttendDeps): Promise<Attending> {
  const { clock, log, config, gate, events } = deps;
  const signal = AbortSignal.any([deps.signal]);
  setMaxListeners(0, signal); // one a hook that runs, and a notification that is shown
  const hooks = new Hooks({ ...deps.hooks, log, signal });
  const notifications = new Notifications({ ...deps, signal, isWanted: () => config.current().notifications.desktop, isScreenLocked: () => gate.screen === 'locked' });
  const needed = new Lately(clock, NEEDED_MS);
  await hooks.open();
  events.listen((event) => {
    notifications.take(event);
    hooks.take(event);
  });
  void tellSessionEnds({
    clock, signal,
    ends: () => (gate.shut === null ? deps.book.list().flatMap((grant) => endOf(deps, grant)) : []),
    leadMs: () => {
      const { sessionEndingS } = config.current().notifications;
      return sessionEndingS === 0 ? null : sessionEndingS * 1000;
    },
    onEnding: (profile, leftMs) => events.emit('session_ending', profile, `${Math.max(1, Math.round(leftMs / 60_000))} min`),
  });
  return {
    hooks,
    loginNeeded: (profile, reason, caller) => {
      if (needed.has(profile)) return;
      needed.note(profile);
      events.emit('login_needed', profile, reason, { caller: caller.label, count: null });
    },
  };
}

/** Who asked last for each profile: a person's program, by whose rules the end of the session is told. */
export class Askers {
  readonly #last = new Map<ProfileName, Caller>();

  of(profile: ProfileName): Caller | null {
    return this.#last.get(profile) ?? null;
  }

  see({ profile, caller }: Pick<AuditEvent, 'profile' | 'caller'>): void {
    if (profile !== null && caller?.origin.class === 'human') this.#last.set(profile, caller);
  }
}

/** The first of its ends; empty where it has none, or is over already. */
function endOf({ config, policies, askers, clock }: AttendDeps, grant: Grant): readonly SessionEnd[] {
  const profile: Profile | undefined = config.current().profiles.get(grant.profile);
  if (profile === undefined || grant.state.kind !== 'active') return [];
  const asker = askers.of(profile.name);
  const limits = sessionLimits(profile.tier, asker === null ? null : rulesFor({ policies, clock }, profile, grant, asker, profile));
  const { session, idle, isOver } = sessionEnds(grant, limits, instantOf(clock));
  if (isOver) return [];
  const { signedInAt, authorizationExpiresAt, state: { refreshToken, tokens } } = grant;
  // Without a refresh token it ends with the last token.
  const lastToken = refreshToken === null && tokens.length > 0 ? Math.max(...tokens.map(({ expiresAt }) => expiresAt)) : null;
  const ends = [
    { endsAt: session, lifeMs: (limits.maxSessionS ?? 0) * 1000 },
    { endsAt: idle, lifeMs: (limits.maxIdleS ?? 0) * 1000 },
    ...[authorizationExpiresAt, lastToken].map((endsAt) => ({ endsAt, lifeMs: (endsAt ?? 0) - signedInAt })),
  ].flatMap(({ endsAt, lifeMs }) => (endsAt === null ? [] : [{ profile: profile.name, endsAt, lifeMs }]));
  return ends.toSorted((a, b) => a.endsAt - b.endsAt).slice(0, 1);
}
