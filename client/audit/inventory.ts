/**
 * What there is, who uses it, and what nobody uses any more (AL-07): the grants as the vault has them now, and beside
 * each what the log says of its past. The two are joined by the profile's name. No secret is in either.
 */
import type { ProfileView } from '../../shared/profile-schemas.ts';
import type { GrantView } from '../../shared/schemas.ts';
import { endOf } from '../grant-rows.ts';
import { textOf, viewCaller } from './caller-view.ts';
import type { Line } from './log-files.ts';

/** Seconds without a release after which a grant is stale, unless somebody says otherwise. */
export const STALE_S = 30 * 86_400;
const CALLERS_MAX = 256;

export type CallerUse = {
  readonly program: string;
  readonly class: string | null;
  readonly agent: string | null;
  releases: number;
  readonly first_at: number;
  last_at: number;
};

export type InventoryEntry = {
  readonly profile: string;
  readonly issuer: string | null;
  readonly client_id: string | null;
  readonly configured: boolean;
  /** null: nobody is signed in. */
  readonly state: GrantView['state'] | null;
  readonly subject: string | null;
  readonly flow: string | null;
  readonly scopes: readonly string[];
  readonly resource: string | null;
  readonly refreshable: boolean;
  readonly signed_in_at: number | null;
  readonly ends_at: number | null;
  /** Of its past, from the log. */
  readonly flows_used: Readonly<Record<string, number>>;
  readonly resources_used: readonly string[];
  readonly callers: readonly CallerUse[];
  readonly callers_left_out: number;
  readonly last_used_at: number | null;
  readonly refusals: number;
  /** Why somebody should look at it; empty: nothing. */
  readonly stale: readonly string[];
};

type Past = { readonly flows: Map<string, number>; readonly resources: Set<string>; readonly callers: Map<string, CallerUse>; callersLeftOut: number; lastUsed: number | null; refusals: number };

const seconds = (ms: number): number => Math.floor(ms / 1000);

export async function readPast(lines: AsyncIterable<Line>): Promise<ReadonlyMap<string, Past>> {
  const pasts = new Map<string, Past>();
  for await (const { record } of lines) {
    const { profile, event, facts } = record;
    if (profile === null) continue;
    const past = pasts.get(profile) ?? { flows: new Map(), resources: new Set(), callers: new Map(), callersLeftOut: 0, lastUsed: null, refusals: 0 };
    pasts.set(profile, past);
    if (event === 'login_finished') past.flows.set(textOf(facts['flow']) ?? 'unknown', (past.flows.get(textOf(facts['flow']) ?? 'unknown') ?? 0) + 1);
    if (event === 'token_refused' || event === 'workload_token_refused') past.refusals += 1;
    if (event !== 'token_released' && event !== 'workload_token_released' && event !== 'fetch_started') continue;
    past.lastUsed = Math.max(past.lastUsed ?? 0, seconds(record.at));
    const resource = textOf(facts['resource']);
    if (resource !== null) past.resources.add(resource);
    noteCaller(past, record.caller, record.at, 1 + (typeof facts['more_since_last'] === 'number' ? facts['more_since_last'] : 0));
  }
  return pasts;
}

function noteCaller(past: Past, caller: Line['record']['caller'], at: number, releases: number): void {
  const view = viewCaller(caller);
  if (view === null) return;
  const key = `${view.path} ${view.agent ?? ''}`;
  const known = past.callers.get(key);
  if (known !== undefined) {
    known.releases += releases;
    known.last_at = seconds(at);
  } else if (past.callers.size < CALLERS_MAX) {
    past.callers.set(key, { program: view.path, class: view.kind, agent: view.agent, releases, first_at: seconds(at), last_at: seconds(at) });
  } else {
    past.callersLeftOut += 1;
  }
}

/** Of a time that may be shorter than a day. */
export function idleWords(seconds: number): string {
  return seconds < 86_400 ? `not used for ${Math.floor(seconds / 3_600)} hours` : `not used for ${Math.floor(seconds / 86_400)} days`;
}

function staleness(grant: GrantView | null, profile: ProfileView | null, past: Past | undefined, now: number, staleS: number): readonly string[] {
  if (grant === null) return [];
  const used = Math.max(past?.lastUsed ?? 0, grant.signed_in_at);
  const end = endOf(grant);
  return [
    ...(now - used > staleS ? [idleWords(now - used)] : []),
    ...((past?.lastUsed ?? null) === null && now - grant.signed_in_at > 86_400 ? ['never used'] : []),
    ...(grant.state === 'login_required' ? [`needs a sign-in: ${grant.reason ?? 'unknown'}`] : []),
    ...(profile === null ? ['its profile is not configured any more'] : []),
    ...(end !== null && end <= now ? ['its sign-in has ended'] : []),
  ];
}

export async function takeInventory(grants: readonly GrantView[], profiles: readonly ProfileView[], lines: AsyncIterable<Line>, now: number, staleS = STALE_S): Promise<readonly InventoryEntry[]> {
  const pasts = await readPast(lines);
  const names = [...new Set([...profiles.map(({ name }) => name), ...grants.map(({ profile }) => profile)])].toSorted();
  return names.map((name) => {
    const grant = grants.find((each) => each.profile === name) ?? null;
    const profile = profiles.find((each) => each.name === name) ?? null;
    const past = pasts.get(name);
    return {
      profile: name, issuer: grant?.issuer ?? profile?.issuer ?? null, client_id: grant?.client_id ?? profile?.client_id ?? null, configured: profile !== null,
      state: grant?.state ?? null, subject: grant?.subject?.sub ?? null, flow: grant?.flow ?? null, scopes: grant?.scopes ?? profile?.scopes ?? [], resource: grant?.resource ?? profile?.resource ?? null,
      refreshable: grant?.refreshable ?? false, signed_in_at: grant?.signed_in_at ?? null, ends_at: grant === null ? null : endOf(grant),
      flows_used: Object.fromEntries(past?.flows ?? []), resources_used: [...past?.resources ?? []].toSorted(),
      callers: [...past?.callers.values() ?? []].toSorted((a, b) => b.last_at - a.last_at), callers_left_out: past?.callersLeftOut ?? 0,
      last_used_at: past?.lastUsed ?? null, refusals: past?.refusals ?? 0, stale: staleness(grant, profile, past, now, staleS),
    };
  });
}
