/** Hooks as real programs that hang, flood, multiply and vanish: the daemon is told why, and nothing of them stays. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRunHook, DEADLINE_MS } from '../../daemon/hooks/run-hook.ts';
import { FakeClock } from '../support/fake-clock.ts';

const NICE = existsSync('/usr/bin/nice') ? '/usr/bin/nice' : null;
const never = new AbortController().signal;

let dir: string;
let clock: FakeClock;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-hooks-'));
  clock = new FakeClock();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function script(name: string, body: string): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

const runner = (nice: string | null = NICE) => createRunHook({ clock, home: '/home/ann', runtimeDir: '/run/user/9', nice });
const said = (name: string): string => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : '');
const isGone = (pid: number): boolean => spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim().replace(/^Z.*/, '') === '';

describe.skipIf(process.platform === 'win32').each([['by nice(1)', NICE], ['as it is', null]])('a hook that is started %s', (_how, nice) => {
  it('gets its arguments as they are, a made environment, no input, no output, and the root directory', async () => {
    process.env['HOOK_TEST_SECRET'] = 'secret-EXAMPLE';
    const path = script('look', `{ printf '%s|' "$@"; echo; env; pwd; readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 || true; ls /proc/$$/fd | wc -l; } > ${dir}/said 2>/dev/null < /dev/stdin`);
    expect(await runner(nice)([path, '$(id)', 'a b', ';rm'], { VALETKEY_EVENT: 'locked' }, never)).toBeNull();
    delete process.env['HOOK_TEST_SECRET'];
    const lines = said('said').split('\n');
    expect(lines[0]).toBe('$(id)|a b|;rm|');
    const names = lines.filter((line) => /^[A-Z_]+=/.test(line)).map((line) => line.split('=')[0]).filter((name) => name !== 'PWD' && name !== '_' && name !== 'OLDPWD' && name !== 'SHLVL').toSorted();
    expect(names).toEqual(['HOME', 'LC_ALL', 'PATH', 'VALETKEY_EVENT', 'XDG_RUNTIME_DIR']);
    expect(lines).toContain('/');
    expect(lines).toContain('/dev/null');
  });

  it.each([
    ['with a status', 'exit 3', 'ended with status 3'],
    ['of a signal', 'kill -TERM $$', 'ended with the signal SIGTERM'],
  ])('that fails %s says so', async (_what, body, why) => {
    expect(await runner(nice)([script('fail', body)], {}, never)).toBe(why);
  });

  it('that is not there, or no program, says so', async () => {
    writeFileSync(join(dir, 'text'), 'no program');
    expect(await runner(nice)([join(dir, 'nowhere')], {}, never)).toMatch(/is not there|ENOENT/);
    expect(await runner(nice)([join(dir, 'text')], {}, never)).toMatch(/may not be executed|EACCES/);
  });

  it('that hangs, deaf to every signal, ends after ten seconds with all that it started', async () => {
    const path = script('hang', `trap '' TERM INT HUP\nsleep 1000 &\necho $! > ${dir}/child\nsleep 1000`);
    const ended = runner(nice)([path], {}, never);
    await expect.poll(() => said('child')).toMatch(/\d+\n/);
    await clock.advance(DEADLINE_MS - 1);
    expect(isGone(Number(said('child')))).toBe(false);
    await clock.advance(1);
    expect(await ended).toBe('took longer than 10 s');
    await expect.poll(() => isGone(Number(said('child')))).toBe(true);
  });

  it('that multiplies ends whole', async () => {
    const path = script('bomb', `for i in $(seq 40); do (sleep 1000 & echo $! >> ${dir}/pids) ; done\necho done > ${dir}/all\nsleep 1000`);
    const ended = runner(nice)([path], {}, never);
    await expect.poll(() => said('all'), { timeout: 60_000 }).toBe('done\n');
    const pids = said('pids').trim().split('\n').map(Number);
    expect(pids).toHaveLength(40);
    await clock.advance(DEADLINE_MS);
    expect(await ended).toBe('took longer than 10 s');
    const left = (): readonly string[] => spawnSync('ps', ['-o', 'stat=', '-p', pids.join(',')], { encoding: 'utf8' }).stdout.split('\n').filter((stat) => stat.trim() !== '' && !stat.startsWith('Z'));
    await expect.poll(left).toEqual([]);
  }, 90_000);

  it('leaves nothing behind in its group when it ends by itself', async () => {
    const path = script('leave', `sleep 1000 &\necho $! > ${dir}/child`);
    expect(await runner(nice)([path], {}, never)).toBeNull();
    await expect.poll(() => isGone(Number(said('child')))).toBe(true);
  });

  it.skipIf(spawnSync('setsid', ['true']).status !== 0)('is over when it ends, whatever has left its group by setsid, which goes on', async () => {
    const path = script('escape', `setsid sh -c 'echo $$ > ${dir}/child; exec sleep 1000' &\nwhile [ ! -s ${dir}/child ]; do sleep 0.01; done`);
    expect(await runner(nice)([path], {}, never)).toBeNull();
    const pid = Number(said('child'));
    try {
      expect(isGone(pid)).toBe(false);
      expect(clock.sleepers).toBe(0);
    } finally {
      process.kill(pid, 'SIGKILL');
    }
  });

  it.skipIf(spawnSync('setsid', ['true']).status !== 0)('that hangs beside what has left its group is ended in time all the same', async () => {
    const path = script('both', `setsid sh -c 'echo $$ > ${dir}/child; exec sleep 1000' &\necho $$ > ${dir}/own\nsleep 1000`);
    const ended = runner(nice)([path], {}, never);
    await expect.poll(() => said('child') !== '' && said('own') !== '').toBe(true);
    await clock.advance(DEADLINE_MS);
    expect(await ended).toBe('took longer than 10 s');
    await expect.poll(() => isGone(Number(said('own')))).toBe(true);
    process.kill(Number(said('child')), 'SIGKILL');
  });

  it('that floods its output holds nobody up', async () => {
    const path = script('flood', 'head -c 200000000 /dev/zero; head -c 200000000 /dev/zero >&2');
    expect(await runner(nice)([path], {}, never)).toBeNull();
  });

  it('ends when the daemon does, and is not started after', async () => {
    const stop = new AbortController();
    const path = script('wait', `echo $$ > ${dir}/pid\nsleep 1000`);
    const ended = runner(nice)([path], {}, stop.signal);
    await expect.poll(() => said('pid')).toMatch(/\d+\n/);
    stop.abort();
    expect(await ended).toBe('was ended: the daemon stops');
    await expect.poll(() => isGone(Number(said('pid')))).toBe(true);
    expect(await runner(nice)([path], {}, stop.signal)).toContain('was not started');
    expect(clock.sleepers).toBe(0);
  });

  it('whose arguments are more than the kernel takes is told, not thrown', async () => {
    expect(await runner(nice)([script('fail', 'exit 0'), ...Array.from({ length: 60 }, () => 'x'.repeat(100_000))], {}, never)).toMatch(/could not be started|may not be executed/);
  });
});
