import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { countInteractiveUsers, parseSession, readDesktop, readLogindSession, runLoginctl, sessionIdOf } from '../../../../daemon/callers/logind.ts';

function fakeLoginctl(answers: Readonly<Record<string, string>>): { asked: string[]; loginctl: (args: readonly string[]) => Promise<string | null> } {
  const asked: string[] = [];
  return { asked, loginctl: async (args) => { asked.push(args.join(' ')); return answers[args.join(' ')] ?? null; } };
}

const SHOW = (id: string): string => `show-session ${id} -p Active -p Remote -p Type -p Class`;
const TEXT = 'Remote=no\nType=wayland\nClass=user\nActive=yes\n';
const SESSION = { isActive: true, isRemote: false, type: 'wayland', class: 'user' };

it.each([
  ['the scope that logind made, whatever the caller says', 'session-c3.scope', '7', '9', 'c3'],
  ['the audit session where the cgroup names none', 'app-firefox.scope', '7\n', '9', '7'],
  ['the variable where the kernel knows nothing', null, '4294967295', '9', '9'],
  ['nothing at all', 'user@1000.service', null, null, null],
])('sessionIdOf takes %s', (_, unit, auditSession, named, id) => {
  expect(sessionIdOf({ unit, auditSession, named })).toBe(id);
});

describe('readLogindSession', () => {
  it('asks for the session that the caller names', async () => {
    const { asked, loginctl } = fakeLoginctl({ [SHOW('c2')]: TEXT });
    expect(await readLogindSession(loginctl, 'c2')).toEqual(SESSION);
    expect(asked).toEqual([SHOW('c2')]);
  });

  it('knows the graphical session of a user, and that there is none', async () => {
    expect(await readDesktop(fakeLoginctl({ 'show-user 1000 -p Display --value': '3\n' }).loginctl, 1000)).toBe('3');
    expect(await readDesktop(fakeLoginctl({ 'show-user 1000 -p Display --value': '\n' }).loginctl, 1000)).toBeNull();
    expect(await readDesktop(fakeLoginctl({}).loginctl, 1000)).toBeNull();
  });

  it.each(['-p', '1 2', '../1', '', '--host=evil', 'x'.repeat(33)])('does not ask for a session called %j', async (sessionId) => {
    const { asked, loginctl } = fakeLoginctl({});
    expect(await readLogindSession(loginctl, sessionId)).toBeNull();
    expect(asked).toEqual([]);
  });

  it('asks nothing for a caller without a session', async () => {
    const { asked, loginctl } = fakeLoginctl({});
    expect(await readLogindSession(loginctl, null)).toBeNull();
    expect(asked).toEqual([]);
  });

  it('is null where logind does not know', async () => {
    expect(await readLogindSession(fakeLoginctl({}).loginctl, '9')).toBeNull();
    expect(parseSession('')).toBeNull();
    expect(parseSession('Active=no\nRemote=yes')).toEqual({ isActive: false, isRemote: true, type: '', class: '' });
  });

  it('answers within its deadline on this machine, whatever runs here', async () => {
    const output = await runLoginctl(['show-session', 'none', '-p', 'Active']);
    expect(output === null || typeof output === 'string').toBe(true);
  });
});

it('counts users who are at the machine: no greeter, no lingering user', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'valetkey-users-'));
  try {
    for (const [uid, state] of [['1000', 'active'], ['1001', 'online'], ['1002', 'lingering'], ['1003', 'closing'], ['120', 'active'], ['0', 'active']]) {
      writeFileSync(join(dir, uid ?? ''), `NAME=x\nSTATE=${state}\nDISPLAY=1\n`);
    }
    mkdirSync(join(dir, '1004'));
    expect(await countInteractiveUsers(dir)).toBe(3);
    expect(await countInteractiveUsers(join(dir, 'none'))).toBe(0);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
