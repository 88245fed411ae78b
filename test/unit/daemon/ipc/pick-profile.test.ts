/** What is said to who names no profile, or one that is not there. */
import { describe, expect, it } from 'vitest';
import type { Config } from '../../../../daemon/core/domain.ts';
import { pickProfile } from '../../../../daemon/ipc/routes/pick-profile.ts';

const NONE = { profiles: new Map(), workloads: new Map() } as unknown as Config;

describe('where no profile is configured', () => {
  it.each([['work', 'unknown_profile'], [undefined, 'no_profile']])('%s is refused with the step that makes one, and not with a list of none', (name, code) => {
    expect(() => pickProfile(NONE, name)).toThrow(expect.objectContaining({ code, hint: 'Run: valetkey help profile add' }) as Error);
  });
});
