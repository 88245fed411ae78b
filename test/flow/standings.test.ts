/** Is somebody signed in, and until when: of every profile, in the status and for a shell prompt. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { StandingView } from '../../shared/standing-schemas.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
beforeAll(async () => {
  issuer = await startIssuer();
  vk = await startInProcess({ config: ['work', 'home', 'lab', 'spare'].map((name) => profileToml(name, issuer.url, name === 'lab' ? 'tier = "high"' : '')).join('') });
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});

async function standing(profile: string): Promise<StandingView | undefined> {
  const { standings } = (await vk.api('GET', '/v1/status')).body as { standings: readonly StandingView[] };
  return standings.find((each) => each.profile === profile);
}
const prompt = async (body: object = {}): Promise<unknown> => (await vk.api('POST', '/v1/prompt', body)).body;

describe('standings', () => {
  it('has every profile, also those to which nobody ever signed in', async () => {
    expect(await standing('work')).toEqual({ profile: 'work', state: 'login_required', reason: 'never_signed_in', session_ends_at: null, idle_ends_at: null, token_ends_at: null });
    expect(await prompt()).toEqual({ text: 'work:login home:login lab:login +1', state: 'login_required' });
  });

  it('tells the end of the session apart from that of the token', async () => {
    await vk.signIn('work', 'ada');
    await vk.signIn('lab', 'ada');
    const now = Math.floor(Date.now() / 1000);
    const [work, lab] = [await standing('work'), await standing('lab')];
    expect(work).toMatchObject({ state: 'signed_in', reason: null, idle_ends_at: null });
    expect(work?.token_ends_at).toBeGreaterThan(now);
    // Policy ends it, whatever the token lives: of the tier normal after 30 days, of the tier high after a day, or an hour without a person.
    expect(Math.round(((work?.session_ends_at ?? 0) - now) / 86_400)).toBe(30);
    expect(Math.round(((lab?.session_ends_at ?? 0) - now) / 3_600)).toBe(24);
    expect(Math.round(((lab?.idle_ends_at ?? 0) - now) / 60)).toBe(60);
    expect(await prompt({ profile: 'work' })).toMatchObject({ text: expect.stringMatching(/^work:(29|30)d$/) as string, state: 'signed_in' });
    expect(await prompt({ profile: 'lab' })).toMatchObject({ text: expect.stringMatching(/^lab:(5\d|60)m$/) as string, state: 'signed_in' });
    // What a person has to act on comes first.
    expect(await prompt()).toMatchObject({ text: expect.stringMatching(/^home:login spare:login \S+:\S+ \+1$/) as string, state: 'login_required' });
  });

  it('says no more than that it is locked while it is', async () => {
    await vk.api('POST', '/v1/lock');
    expect(await standing('work')).toMatchObject({ state: 'unknown', token_ends_at: null });
    expect(await prompt()).toEqual({ text: 'locked', state: 'locked' });
    await vk.api('POST', '/v1/unlock', {});
  });

  it('an expired token is no end: the sign-in goes on, and nothing is refreshed to say so', async () => {
    const asked = issuer.requests.length;
    vk.skipMs += 2 * 3_600_000;
    expect(await standing('work')).toMatchObject({ state: 'signed_in' });
    expect(((await standing('work'))?.token_ends_at ?? 0) * 1000).toBeLessThan(Date.now() + vk.skipMs);
    expect(await prompt({ profile: 'work' })).toMatchObject({ text: expect.stringMatching(/^work:29d$/) as string, state: 'signed_in' });
    expect(issuer.requests.length).toBe(asked);
  });

  it('a session that policy has ended is over', async () => {
    expect(await standing('lab')).toMatchObject({ state: 'login_required', reason: 'session_limit', session_ends_at: null });
  });

  it('knows only what is there', async () => {
    expect(await prompt({ profile: 'nope' })).toMatchObject({ code: 'unknown_profile' });
    await vk.config('');
    await vk.api('POST', '/v1/reload');
    expect(await prompt()).toEqual({ text: '', state: 'nothing' });
  });
});
