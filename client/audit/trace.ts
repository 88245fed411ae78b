/**
 * From one token to everything that happened with it, in one walk through the log (AL-02): who signed in, which grant
 * it came of, who took it, and what became of it. Only its fingerprint is looked for.
 */
import type { AuditRecord } from '../../shared/audit-line.ts';
import type { Line } from './log-files.ts';

/** A token that thousands took is told by its first and last ones. */
const RELEASES_MAX = 1_000;

export type Traced = {
  readonly fingerprint: string;
  /** The refresh that brought it; null: the sign-in itself did, or nothing is known. */
  readonly minted: AuditRecord | null;
  /** The chooser's decision, and the sign-in that the grant came of. */
  readonly decided: AuditRecord | null;
  readonly login: AuditRecord | null;
  readonly releases: readonly AuditRecord[];
  readonly releasesLeftOut: number;
  readonly revoked: readonly AuditRecord[];
};

type Login = { readonly decided: AuditRecord | null; readonly login: AuditRecord };

/** Whatever the record is, the sign-in that its grant came of. */
function grantOf({ profile, facts }: AuditRecord): string | null {
  return profile === null || typeof facts['signed_in_at'] !== 'number' ? null : `${profile} ${facts['signed_in_at']}`;
}

export async function traceToken(fingerprint: string, lines: AsyncIterable<Line>): Promise<Traced> {
  /** The last decision and sign-in of each profile, and each sign-in: a token is released after both. */
  const decided = new Map<string, AuditRecord>();
  const logins = new Map<string, Login>();
  const releases: AuditRecord[] = [];
  const revoked: AuditRecord[] = [];
  let releasesLeftOut = 0;
  let minted: AuditRecord | null = null;
  let from: Login | null = null;
  for await (const { record } of lines) {
    const { event, profile, facts } = record;
    if (profile !== null && event === 'login_decided') decided.set(profile, record);
    if (profile !== null && event === 'login_finished') {
      const login = { decided: decided.get(profile) ?? null, login: record };
      for (const key of [profile, grantOf(record)]) if (key !== null) logins.set(key, login);
    }
    if (facts['token'] !== fingerprint) continue;
    // Of a grant that says when it was signed in, only that sign-in is its own.
    const last = logins.get(profile ?? '');
    const own = grantOf(record);
    from ??= (own === null ? last : logins.get(own) ?? (last !== undefined && grantOf(last.login) === null ? last : undefined)) ?? null;
    if (event === 'token_refreshed' || event === 'workload_token_obtained') minted = record;
    if (event === 'token_revoked' || event === 'workload_token_revoked') revoked.push(record);
    if (event !== 'token_released' && event !== 'workload_token_released') continue;
    if (releases.length >= RELEASES_MAX) {
      releasesLeftOut += 1;
      releases.splice(RELEASES_MAX / 2, 1);
    }
    releases.push(record);
  }
  return { fingerprint, minted, decided: from?.decided ?? null, login: from?.login ?? null, releases, releasesLeftOut, revoked };
}

export function isTraced({ minted, releases, revoked }: Traced): boolean {
  return minted !== null || releases.length > 0 || revoked.length > 0;
}
