/**
 * What earlier runs wanted revoked is taken up, and a sign-out that a crash cut short is brought to its end: a grant of
 * which a token stands in a tombstone was to be forgotten (I12), and gives out nothing until the issuer hears of it.
 */
import type { Grant } from '../core/domain.ts';
import type { ConfigStore, GrantBook, Log } from '../core/ports.ts';
import type { Revocations } from './revocations.ts';

export type TakeUpDeps = {
  readonly book: GrantBook;
  readonly revocations: Revocations;
  readonly config: Pick<ConfigStore, 'current'>;
  readonly log: Log;
};

/** To be called when the grants were read. Throws where the disk keeps what has to go. */
export async function takeUpSignOuts({ book, revocations, config, log }: TakeUpDeps): Promise<void> {
  await revocations.load();
  for (const grant of book.list()) {
    if (!isTaken(grant, revocations)) continue;
    log.warn('sign_out_taken_up', { profile: grant.profile });
    let tombstones: Awaited<ReturnType<Revocations['prepare']>> = [];
    await book.take(grant.profile, async (taken) => {
      // Not of all its tokens there need be one yet.
      tombstones = await revocations.prepare(taken, config.current().profiles.get(taken.profile) ?? null);
    });
    revocations.sendAll(tombstones).done.catch((cause: unknown) => log.error('revocation_worker_failed', {}, cause));
  }
}

function isTaken({ profile, state }: Grant, revocations: Revocations): boolean {
  if (state.kind !== 'active') return false;
  const { refreshToken, tokens } = state;
  return [...(refreshToken === null ? [] : [refreshToken]), ...tokens.map(({ value }) => value)].some((token) => revocations.awaits(profile, token));
}
