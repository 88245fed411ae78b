/**
 * What is unusual in the stream of records, as a table. Each detector is a function of the records that it has seen,
 * in their order, and of nothing else: the same log gives the same findings. What it remembers is bounded, the
 * longest unseen goes first. The same thing is found once in a window.
 */
import type { Facts } from '../../shared/audit-line.ts';
import { isJsonObject } from '../../shared/json-object.ts';

export const WINDOW_MS = 3_600_000;
const KEPT = 512;
const PROGRAMS = 64;
const DAY_MS = 86_400_000;

export type Seen = {
  readonly at: number;
  readonly event: string;
  readonly profile: string | null;
  /** The caller, as in the record. */
  readonly caller: object | null;
  readonly facts: Facts;
};
type Finding = { readonly what: string; readonly facts: Facts };
/** Null: nothing unusual. */
export type Judge = (seen: Seen) => Finding | null;
type Detector = { readonly name: string; readonly create: () => Judge };

/** A map that forgets what was longest not looked at. */
class Memory<V> {
  readonly #kept = new Map<string, V>();

  get(key: string): V | undefined {
    const value = this.#kept.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#kept.delete(key);
    this.#kept.set(key, value);
    const oldest = this.#kept.size > KEPT ? this.#kept.keys().next() : null;
    if (oldest !== null && oldest.done !== true) this.#kept.delete(oldest.value);
  }
}

/** True the first time in a window. A clock that was set back starts a new one. */
function oncePerWindow(): (key: string, at: number) => boolean {
  const last = new Memory<number>();
  return (key, at) => {
    const before = last.get(key);
    if (before !== undefined && at >= before && at - before < WINDOW_MS) return false;
    last.set(key, at);
    return true;
  };
}

/** How often a thing happened in the last `withinMs`; no more than `enough` times are kept. */
function rate(withinMs: number, enough: number): (key: string, at: number) => boolean {
  const times = new Memory<readonly number[]>();
  return (key, at) => {
    const recent = [...(times.get(key) ?? []).filter((time) => time <= at && at - time < withinMs), at].slice(-enough);
    times.set(key, recent);
    return recent.length >= enough;
  };
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** Whom people think of, where the record tells it; else what runs. */
/** Of people's tokens and of workloads' alike, and of those that were used for somebody. */
const isRelease = (event: string): boolean => event === 'token_released' || event === 'workload_token_released' || event === 'fetch_started';
const isRefusal = (event: string): boolean => event === 'token_refused' || event === 'workload_token_refused';

function programOf(caller: object | null): { readonly path: string; readonly digest: string | null } | null {
  const facts = isJsonObject(caller) ? caller : null;
  if (facts === null) return null;
  const origin = isJsonObject(facts['origin']) ? facts['origin'] : facts;
  const program = isJsonObject(origin['program']) ? origin['program'] : facts;
  const executable = text(program['executable']);
  const script = text(program['script']);
  const path = script ?? executable;
  // The digest is that of the executable, so it is compared with what was there before.
  return path === null ? null : { path, digest: script === null ? text(origin['digest']) : null };
}

const REFRESHES = 20;
const REFRESH_MS = 600_000;
const DENIALS = 5;
const DENIAL_MS = 300_000;

export const DETECTORS: readonly Detector[] = [
  {
    // RFC 8628, section 5.4: a device code that somebody else started is phished; where a browser worked, nobody needs it.
    name: 'device_where_pkce_worked',
    create: () => {
      const worked = new Memory<number>();
      const once = oncePerWindow();
      return ({ at, event, profile, facts }) => {
        if (profile === null) return null;
        if (event === 'login_finished' && facts['flow'] === 'authorization_code') worked.set(profile, at);
        if (event !== 'login_decided' || facts['outcome'] !== 'device') return null;
        const since = worked.get(profile);
        return since === undefined || !once(profile, at) ? null
          : { what: `a device sign-in of ${profile} was started, where a browser worked before`, facts: { browser_worked_at: since } };
      };
    },
  },
  {
    name: 'new_digest',
    create: () => {
      const digests = new Memory<string>();
      const once = oncePerWindow();
      return ({ at, event, caller }) => {
        const program = isRelease(event) || isRefusal(event) ? programOf(caller) : null;
        if (program === null || program.digest === null) return null;
        const before = digests.get(program.path);
        digests.set(program.path, program.digest);
        return before === undefined || before === program.digest || !once(program.path, at) ? null
          : { what: `the program at ${program.path} is not the one that was there before`, facts: { path: program.path, digest: program.digest, digest_before: before } };
      };
    },
  },
  {
    name: 'refresh_spike',
    create: () => {
      const isOften = rate(REFRESH_MS, REFRESHES);
      const once = oncePerWindow();
      return ({ at, event, profile }) => (event === 'token_refreshed' && profile !== null && isOften(profile, at) && once(profile, at)
        ? { what: `${profile} was refreshed ${REFRESHES} times within ten minutes`, facts: { refreshes: REFRESHES, within_s: REFRESH_MS / 1000 } } : null);
    },
  },
  {
    name: 'repeated_denials',
    create: () => {
      const isOften = rate(DENIAL_MS, DENIALS);
      const once = oncePerWindow();
      return ({ at, event, caller, facts }) => {
        // Whoever asks while the user has locked the broker wants nothing forbidden.
        const program = isRefusal(event) && facts['rule'] !== 'user-lock' ? programOf(caller) : null;
        return program !== null && isOften(program.path, at) && once(program.path, at)
          ? { what: `${program.path} was refused ${DENIALS} times within five minutes`, facts: { path: program.path, refusals: DENIALS, within_s: DENIAL_MS / 1000 } } : null;
      };
    },
  },
  {
    name: 'unusual_caller',
    create: () => {
      const known = new Memory<{ readonly since: number; readonly programs: readonly string[] }>();
      const once = oncePerWindow();
      return ({ at, event, profile, caller }) => {
        const program = isRelease(event) && profile !== null ? programOf(caller) : null;
        if (program === null || profile === null) return null;
        const before = known.get(profile) ?? { since: at, programs: [] };
        const isNew = !before.programs.includes(program.path);
        known.set(profile, { since: before.since, programs: [...before.programs.filter((path) => path !== program.path), program.path].slice(-PROGRAMS) });
        // For a day a profile learns who uses it.
        return isNew && at - before.since >= DAY_MS && once(`${profile} ${program.path}`, at)
          ? { what: `${program.path} took a token of ${profile} for the first time`, facts: { path: program.path, known_programs: before.programs.length } } : null;
      };
    },
  },
];
