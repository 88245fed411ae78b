/** Whose a connection is, by the real kernel: daemon, browser and attacker are processes of different users. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildLoopback } from '../support/loopback-child.ts';
import type { LoopbackBuild, Told } from '../support/loopback-child.ts';
import { ISSUER, STATE } from '../support/loopback-rig.ts';

const OWN = 65_533;
const OTHER = 65_534;
const as = (uid: number): readonly string[] => ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
const probe = spawnSync('setpriv', [...as(OWN).slice(1), process.execPath, '-e', '0'], { cwd: '/', encoding: 'utf8' });
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const obstacle = process.platform !== 'linux' ? 'the kernel\'s socket table is Linux\''
  : probe.status !== 0 ? `no other user can be made here (${(probe.stderr || String(probe.error)).trim()})`
  : hasCurl ? null : 'curl is missing';
if (obstacle !== null) console.warn(`not run: ${obstacle}`);

/** A GET as a user: status, and the cookie pair that was set. */
function get(uid: number, url: string, cookie = ''): { readonly status: number; readonly cookie: string; readonly location: string } {
  const [command = '', ...args] = [...as(uid), 'curl', '-s', '-i', '-m', '10', ...(cookie === '' ? [] : ['-H', `Cookie: ${cookie}`]), url];
  const { stdout } = spawnSync(command, args, { cwd: '/', encoding: 'utf8' });
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(stdout)?.[1] ?? 0),
    cookie: /^Set-Cookie: ([^;]+)/im.exec(stdout)?.[1] ?? '',
    location: /^Location: (\S+)/im.exec(stdout)?.[1] ?? '',
  };
}

const callbackOf = (open: Told): string => `${String(open['redirectUri'])}?${new URLSearchParams({ code: 'code-EXAMPLE', state: STATE, iss: ISSUER })}`;

describe.skipIf(obstacle !== null)('a loopback listener on a shared machine', () => {
  let build: LoopbackBuild;
  beforeAll(() => { build = buildLoopback(); });
  afterAll(() => build.remove());

  it('[LB-10] refuses another user who has the link, the state and even the cookie, and takes its own user', async () => {
    const daemon = build.start(as(OWN), {});
    const open = await daemon.next('open');
    expect(open['uid']).toBe(OWN);
    const startUrl = String(open['startUrl']);

    expect(get(OTHER, startUrl)).toEqual({ status: 403, cookie: '', location: '' });
    expect(await daemon.next('refused')).toEqual({ event: 'refused', reason: 'other_user', uid: OTHER });
    // The link is not used up by that.
    const start = get(OWN, startUrl);
    expect(start).toMatchObject({ status: 302, location: expect.stringContaining(ISSUER) });

    expect(get(OTHER, callbackOf(open), start.cookie).status).toBe(403);
    expect(await daemon.next('refused')).toEqual({ event: 'refused', reason: 'other_user', uid: OTHER });
    expect(get(OTHER, callbackOf(open)).status).toBe(403);
    expect(await daemon.next('refused')).toEqual({ event: 'refused', reason: 'other_user', uid: OTHER });
    // Root too is somebody else.
    expect(get(0, callbackOf(open), start.cookie).status).toBe(403);
    expect(await daemon.next('refused')).toEqual({ event: 'refused', reason: 'other_user', uid: 0 });
    expect(daemon.told.filter(({ event }) => event === 'callback')).toEqual([]);

    expect(get(OWN, callbackOf(open), start.cookie).status).toBe(303);
    expect(await daemon.next('callback')).toMatchObject({ code: 'code-EXAMPLE' });
  });

  it('control: with the look-up off, the same attack succeeds', async () => {
    const daemon = build.start(as(OWN), { lookup: 'off' });
    const open = await daemon.next('open');
    const start = get(OTHER, String(open['startUrl']));
    expect(start.status).toBe(302);
    expect(get(OTHER, callbackOf(open), start.cookie).status).toBe(303);
    expect(await daemon.next('callback')).toMatchObject({ code: 'code-EXAMPLE' });
  });
});
