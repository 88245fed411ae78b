/** A locked screen and suspend, where policy asks for them: a daemon on a bus of its own (SU-04). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClock } from '../../daemon/platform/clock.ts';
import { createLoginSessions } from '../../daemon/platform/login-sessions.ts';
import { someOrigin } from '../support/builders.ts';
import { startHostileIssuer, faults } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LogSink } from '../support/fakes.ts';
import { busObstacle, PrivateBus, StandInLogind } from '../support/stand-in-logind.ts';

const obstacle = busObstacle();
if (obstacle !== null) console.warn(`screen lock: skipped, ${obstacle}`);

const HOLD = 'v = 1\n[session]\nscreen_lock = "hold"\n';
const LOCK = 'v = 1\n[session]\nscreen_lock = "lock"\n';
const SUSPEND = 'v = 1\n[session]\nsuspend = "lock"\n';

let issuer: HostileIssuer;
let bus: PrivateBus;
let logind: StandInLogind;
let vk: InProcess;

const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
const status = async () => (await vk.api('GET', '/v1/status')).body;
const screen = (is: string) => expect.poll(async () => (await status()).screen, { interval: 10 }).toBe(is);
async function policy(source: 'admin' | 'user', text: string): Promise<void> {
  await vk.policy(source, text);
  await vk.api('POST', '/v1/reload');
}

describe.skipIf(obstacle !== null)('a locked screen', () => {
  beforeEach(async () => {
    issuer = await startHostileIssuer();
    bus = new PrivateBus();
    await bus.start();
    logind = await StandInLogind.appear(bus.socket);
    logind.add('c1');
    const loginSessions = createLoginSessions({ socket: bus.socket, clock: createClock(), log: new LogSink(), uid: process.getuid?.() ?? 0 });
    vk = await startInProcess({ config: profileToml('work', issuer.url), edges: { loginSessions } });
    // A program of a person: the policy that ships asks nobody about it.
    vk.caller = { origin: someOrigin() };
    vk.isPlay = true;
    await vk.signIn('work', 'alice');
  });
  afterEach(async () => {
    await vk.stop();
    logind.party.leave();
    await bus.remove();
    await issuer.close();
  });

  it('[GV-01] is a fact for rules, which refuse some things and not others', async () => {
    await policy('admin', 'v = 1\n[[rules]]\nname = "away"\ndecide = "deny"\nwhen = { screen_locked = true, scopes = { any = ["openid"] } }\n');
    expect(await token()).toMatchObject({ source: 'cache' });
    // Nothing is held for all: the status has nothing to say of it.
    expect(await status()).toMatchObject({ screen: 'not_asked' });
    logind.say('c1', 'Lock');
    const away = { code: 'policy_denied', reason: 'admin/away' };
    await expect.poll(token, { interval: 10 }).toMatchObject(away);
    expect((await vk.api('POST', '/v1/policy/explain', { profile: 'work' })).body).toMatchObject({ decision: 'deny', rule: 'admin/away' });
    logind.say('c1', 'Unlock');
    await expect.poll(token, { interval: 10 }).toMatchObject({ source: 'cache' });
    // What is not known counts against whoever asks.
    logind.party.leave();
    await expect.poll(token, { interval: 10 }).toMatchObject(away);
  });

  it('[GV-01] is a fact that is asked for again where a token was waited for meanwhile', async () => {
    await policy('admin', 'v = 1\n[[rules]]\nname = "away"\ndecide = "deny"\nwhen = { screen_locked = true }\n');
    issuer.fault('token', faults.drip(64, 100));
    const waiting = token({ force: true });
    await expect.poll(() => issuer.issuer.minted.filter(({ kind }) => kind === 'refresh_token').length).toBe(2);
    logind.hint('c1', true);
    const away = { code: 'policy_denied', reason: 'admin/away' };
    await expect.poll(token, { interval: 10 }).toMatchObject(away);
    expect(await waiting).toMatchObject(away);
  });

  it('[SU-04] lets no token out where policy asks for it, and lets them out again afterwards', async () => {
    await policy('admin', HOLD);
    expect(await status()).toMatchObject({ screen: 'unlocked' });
    expect(await token()).toMatchObject({ source: 'cache' });
    logind.say('c1', 'Lock');
    await screen('locked');
    expect(await token()).toMatchObject({ code: 'session_locked', status: 423, retryable: true });
    expect(await token({ force: true })).toMatchObject({ code: 'session_locked' });
    logind.say('c1', 'Unlock');
    await screen('unlocked');
    expect(await token()).toMatchObject({ source: 'cache' });
    expect(vk.audit.events.map(({ event }) => event).filter((event) => event.startsWith('session_'))).toEqual(['session_locked', 'session_unlocked']);
    expect(vk.audit.events.filter(({ event, facts }) => event === 'token_refused' && facts['rule'] === 'screen-lock')).toHaveLength(2);
  });

  it('[SU-04] keeps in what was asked for before and comes after', async () => {
    await policy('admin', HOLD);
    issuer.fault('token', faults.drip(64, 100));
    const waiting = token({ force: true });
    await expect.poll(() => issuer.issuer.minted.filter(({ kind }) => kind === 'refresh_token').length).toBe(2);
    logind.hint('c1', true);
    await screen('locked');
    expect(await waiting).toMatchObject({ code: 'session_locked' });
    // It was saved all the same: nothing is lost by it.
    logind.hint('c1', false);
    await screen('unlocked');
    expect(await token()).toMatchObject({ source: 'cache' });
    expect((await status()).grants[0].generation).toBe(2);
  });

  it('changes nothing where no policy asks, and nobody listens then', async () => {
    logind.hint('c1', true);
    expect(await status()).toMatchObject({ screen: 'not_asked' });
    expect(await token()).toMatchObject({ source: 'cache' });
    const names = async () => ((await logind.party.callBus('ListNames'))[0] as readonly string[]).filter((name) => name.startsWith(':'));
    expect(await names()).toHaveLength(1);
    await policy('user', HOLD);
    expect(await names()).toHaveLength(2);
    expect(await token()).toMatchObject({ code: 'session_locked' });
    await policy('user', 'v = 1\n');
    await expect.poll(names).toHaveLength(1);
    expect(await token()).toMatchObject({ source: 'cache' });
  });

  it('is locked by the stricter of both files: a user asks for more, and never for less', async () => {
    await policy('admin', LOCK);
    await policy('user', HOLD);
    logind.say('c1', 'Lock');
    await expect.poll(async () => (await status()).locked).toBe(true);
    logind.say('c1', 'Unlock');
    await screen('unlocked');
    expect(await token()).toMatchObject({ code: 'vault_locked' });
    await vk.api('POST', '/v1/unlock', {});
    expect(await token()).toMatchObject({ source: 'cache' });
    expect(vk.audit.events.find(({ event }) => event === 'locked')).toMatchObject({ caller: null });
  });

  it('locks before the machine sleeps', async () => {
    await policy('user', SUSPEND);
    logind.say('c1', 'Lock');
    logind.sleeps(true);
    await expect.poll(async () => (await status()).locked).toBe(true);
    expect(await status()).toMatchObject({ screen: 'not_asked' });
    expect(await token()).toMatchObject({ code: 'vault_locked' });
  });

  it('holds everything while nobody can tell, says so, and is well again when logind is', async () => {
    await policy('admin', HOLD);
    logind.party.leave();
    await screen('screen_lock_unheard');
    expect(await token()).toMatchObject({ code: 'session_locked', reason: 'screen_lock_unheard', detail: expect.stringContaining('logind does not tell') });
    expect((await status()).warnings.join()).toContain('screen_lock_unheard');
    logind = await StandInLogind.appear(bus.socket);
    logind.add('c1');
    await screen('unlocked');
    expect(await token()).toMatchObject({ source: 'cache' });
  });

  it('is known from the first request of a new daemon on', async () => {
    await vk.policy('admin', HOLD);
    logind.hint('c1', true);
    await vk.restart();
    expect(await token()).toMatchObject({ code: 'session_locked' });
    expect(await status()).toMatchObject({ screen: 'locked' });
  });
});
