/**
 * What a pinentry says, and what we make of it: one suite for the real one of this machine, on a terminal of its own,
 * and for a stand-in, which also behaves as none should.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DialogText } from '../../daemon/core/ports.ts';
import { runPinentry } from '../../daemon/desktop/pinentry.ts';
import type { Run } from '../../daemon/desktop/pinentry.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { firstLine, kill } from '../support/built-platform.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { writeStandIn } from '../support/stand-in-pinentry.ts';
import type { Manner } from '../support/stand-in-pinentry.ts';

const TEXT: DialogText = { title: 'Valetkey', lines: ['curl (pid 7) wants to use work.', '100 % of C:\\x'], yes: 'Allow', no: 'No', pin: null };
const WITH_PIN: DialogText = { ...TEXT, pin: { prompt: 'Approval PIN:', error: null } };
const never = new AbortController().signal;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-pinentry-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const ask = (manner: Manner, over: Partial<Run> = {}, signal = never, clock: Parameters<typeof runPinentry>[0]['clock'] = createClock()) => {
  const { program, said } = writeStandIn(dir, manner);
  const answer = runPinentry({ clock }, { program, env: { PATH: '/usr/bin:/bin', DISPLAY: ':7' }, options: [], text: TEXT, lifeMs: 60_000, ...over }, signal);
  return { answer, said };
};
/** Revealed for the comparison. */
const opened = async (answer: ReturnType<typeof runPinentry>) => {
  const got = await answer;
  if (got.kind === 'no') return { kind: got.kind };
  return got.kind === 'yes' ? { kind: got.kind, pin: got.pin?.reveal() ?? null } : got;
};

describe('a pinentry that answers', () => {
  it.each([
    ['allow', { kind: 'yes', pin: null }],
    ['asides', { kind: 'yes', pin: null }],
    ['unknown titles', { kind: 'yes', pin: null }],
    ['refuse', { kind: 'no' }],
    ['close', { kind: 'no' }],
    ['time out', { kind: 'none', why: 'nobody answered' }],
  ] as const)('[IP-10] %s: is a yes only where it says OK to the question', async (manner, expected) => {
    expect(await opened(ask(manner).answer)).toEqual(expected);
  });

  it('is told everything escaped, and nothing of our environment', async () => {
    const { answer, said } = ask('allow');
    await answer;
    const [start = '', ...lines] = readFileSync(said, 'utf8').trimEnd().split('\n');
    expect(lines).toEqual(['SETTITLE Valetkey', 'SETTIMEOUT 60', 'SETDESC curl (pid 7) wants to use work.%0A100 %25 of C:%5Cx', 'SETOK Allow', 'SETCANCEL No', 'CONFIRM']);
    expect(JSON.parse(start)).toMatchObject({ env: { PATH: '/usr/bin:/bin', DISPLAY: ':7' }, argv: [], cwd: '/' });
    expect(Object.keys((JSON.parse(start) as { env: object }).env).filter((name) => name !== 'PWD' && name !== 'SHLVL' && name !== '_')).toEqual(['PATH', 'DISPLAY']);
  });

  it('gives the PIN that was typed, to the letter', async () => {
    expect(await opened(ask('give the pin', { text: WITH_PIN }).answer)).toEqual({ kind: 'yes', pin: '12%34\n56ü' });
    expect(await opened(ask('give no pin', { text: WITH_PIN }).answer)).toEqual({ kind: 'yes', pin: '' });
  });

  it('is not asked what is too long to be shown whole', async () => {
    expect(await ask('allow', { text: { ...TEXT, lines: ['ü'.repeat(600)] } }).answer).toEqual({ kind: 'none', why: 'the question is longer than a dialog takes' });
  });
});

describe('a pinentry that does not answer as it should', () => {
  it.each([
    ['no greeting', 'it did not greet'],
    ['die at once', 'it ended'],
    ['die at the question', 'it ended'],
    ['flood', 'it said too much'],
    ['one endless line', 'it sent a line that is too long'],
    ['garbage', 'it said what it should not'],
    ['talk ahead', 'it spoke out of turn'],
    ['inquire', 'it said what it should not'],
    ['refuse the text', 'it refused SETDESC'],
    ['unknown error', 'it failed with 32870'],
    ['bytes for a yes', 'it answered a question that was not asked'],
  ] as const)('[IP-10] has said nothing: %s', async (manner, why) => {
    // Without a greeting it is up to the clock: here it is far ahead.
    const clock = new FakeClock();
    const { answer } = ask(manner, {}, never, clock);
    if (manner === 'no greeting') {
      void advanceTo(clock, 76_000);
      expect(await answer).toMatchObject({ kind: 'none', why: 'it did not answer in time' });
    } else expect(await answer).toMatchObject({ kind: 'none', why });
  });

  it.each([['half a pin'], ['garbage'], ['flood']] as const)('gives no PIN: %s', async (manner) => {
    const clock = new FakeClock();
    const { answer, said } = ask(manner, { text: WITH_PIN }, never, clock);
    if (manner === 'half a pin') await expect.poll(() => existsSync(said) && readFileSync(said, 'utf8').includes('GETPIN')).toBe(true);
    if (manner === 'half a pin') void advanceTo(clock, 76_000);
    expect(await answer).toMatchObject({ kind: 'none' });
  });

  it('that is not there has said nothing', async () => {
    expect(await runPinentry({ clock: createClock() }, { program: join(dir, 'none'), env: {}, options: [], text: TEXT, lifeMs: 1_000 }, never)).toMatchObject({ kind: 'none' });
  });

  it('is ended when it hangs, and when the question ends', async () => {
    const clock = new FakeClock();
    const hanging = ask('hang', {}, never, clock);
    await expect.poll(() => existsSync(hanging.said) && readFileSync(hanging.said, 'utf8').includes('CONFIRM')).toBe(true);
    await advanceTo(clock, 76_000);
    expect(await hanging.answer).toEqual({ kind: 'none', why: 'it did not answer in time' });
    await gone(hanging.said);

    const end = new AbortController();
    const open = ask('hang', {}, end.signal);
    await expect.poll(() => existsSync(open.said) && readFileSync(open.said, 'utf8').includes('CONFIRM')).toBe(true);
    end.abort();
    expect(await open.answer).toEqual({ kind: 'none', why: 'the question ended' });
    await gone(open.said);
  });

  async function gone(said: string): Promise<void> {
    const { pid } = JSON.parse(readFileSync(said, 'utf8').split('\n')[0] ?? '') as { pid: number };
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  }

  async function advanceTo(clock: FakeClock, ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 1_000) {
      await settle();
      await clock.advance(1_000);
    }
  }
});

const REAL = ['/usr/bin/pinentry-curses', '/usr/bin/pinentry-tty'].find((path) => existsSync(path)) ?? null;
const absence = REAL === null || spawnSync('script', ['--version']).status !== 0 ? 'no pinentry-curses, or no script(1), on this machine' : null;
if (absence !== null) process.stderr.write(`pinentry.test: ${absence}; the stand-in alone is asked\n`);

describe.skipIf(absence !== null)('the real pinentry, at a terminal of its own', () => {
  it.each([
    ['Return at the first button', ['\r'], { kind: 'yes', pin: null }, TEXT],
    ['the next button and Return', ['\t', '\r'], { kind: 'no' }, TEXT],
    ['a PIN and Return', ['4', '7', '1', '1', '%', '9', '\r'], { kind: 'yes', pin: '4711%9' }, WITH_PIN],
  ] as const)('answers by the same protocol: %s', async (_what, keys, expected, text) => {
    const terminal = spawn('script', ['-qfc', 'tty; exec sleep 600', '/dev/null'], { stdio: 'pipe', env: { PATH: '/usr/bin:/bin', TERM: 'xterm' } });
    try {
      const tty = (await firstLine(terminal)).trim();
      let screen = '';
      terminal.stdout.on('data', (data) => { screen += String(data); });
      const answer = runPinentry({ clock: createClock() }, { program: REAL ?? '', env: { PATH: '/usr/bin:/bin', TERM: 'xterm' }, options: [['ttyname', tty], ['ttytype', 'xterm'], ['lc-ctype', 'C.UTF-8']], text, lifeMs: 60_000 }, never);
      await expect.poll(() => screen).toContain('curl (pid 7) wants to use work.');
      await expect.poll(() => screen).toContain('Allow');
      for (const key of keys) terminal.stdin.write(key);
      expect(await opened(answer)).toEqual(expected);
      expect(screen).toContain('100 % of C:\\x');
    } finally {
      await kill(terminal);
    }
  });
});
