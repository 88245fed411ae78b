/**
 * The end of all grants that are there: of each the tombstones first, then the grant (I12), many at once, since a disk
 * takes many writes together sooner than one after the other. Nothing is sent here.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { Grant, Profile, Revocation } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import type { Grants } from './grant-book.ts';
import type { Revocations } from './revocations.ts';

export type SweepDeps = {
  readonly book: Pick<Grants, 'list' | 'take' | 'written'>;
  readonly revocations: Pick<Revocations, 'prepare'>;
  readonly profileOf: (name: ProfileName) => Profile | null;
  readonly log: Log;
};

/** `isWhole`: nothing is left, in memory or on the disk. */
export type Swept = { readonly ended: readonly { readonly grant: Grant; readonly tombstones: readonly Revocation[] }[]; readonly isWhole: boolean };

const AT_ONCE = 16;

export async function sweep({ book, revocations, profileOf, log }: SweepDeps): Promise<Swept> {
  await book.written(); // a sign-in that is being saved is not in the list yet
  const names = book.list().map(({ profile }) => profile);
  const ended: { readonly grant: Grant; readonly tombstones: readonly Revocation[] }[] = [];
  let isWhole = true;
  const lane = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      try {
        await book.take(name, async (grant) => {
          ended.push({ grant, tombstones: await revocations.prepare(grant, profileOf(grant.profile)) });
        });
      } catch (cause) {
        if (!(cause instanceof BrokerError)) throw cause;
        // Its tokens die at the issuer all the same; its file has to go later.
        log.error('grant_not_removed', { profile: name, why: cause.message });
        isWhole = false;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return { ended, isWhole };
}
