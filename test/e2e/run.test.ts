/** `valetkey run`: real programs, real signals, and a shell with job control at a real pseudo terminal. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

let home: Home;
let issuer: EmbeddedIssuer;
let files: string;

beforeAll(async () => {
  needBuild();
  home = makeHome();
  files = mkdtempSync(join(tmpdir(), 'valetkey-run-'));
  issuer = await startIssuer({ lifetimes: { accessTokenS: 600 } });
  for (const name of ['work', 'other']) {
    const added = await home.valetkey([
      'profile', 'add', name, '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
      ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]),
    ]);
    expect(added.stderr).toContain(`Next: valetkey login ${name}`);
    const { exit, stdout } = await home.atTerminal(['login', name]);
    expect(exit, stdout).toBe(0);
  }
});
afterAll(async () => {
  await home.leave();
  await issuer.close();
  rmSync(files, { recursive: true, force: true });
});

const file = (name: string): string => join(files, name);
const textOf = (name: string): string => {
  try {
    return readFileSync(file(name), 'utf8');
  } catch {
    return '';
  }
};

/** The records of the audit log, oldest first. */
function records(): readonly { readonly event: string; readonly profile: string | null; readonly caller: { readonly origin: { readonly run: string | null } } | null }[] {
  const folder = join(home.env['XDG_STATE_HOME'] ?? '', 'valetkey/audit');
  return readdirSync(folder).filter((name) => name.endsWith('.jsonl')).toSorted().flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n')).map((line) => JSON.parse(line));
}

describe('the environment of the program', () => {
  it('holds the token of the one profile and its end, and the program has stdin, stdout and exit status', async () => {
    const { stdout: token } = await home.valetkey(['token', 'work']);
    const ran = await home.valetkey(['run', '--profile', 'work', '--', 'sh', '-c', 'printf "%s\\n%s\\n" "$VALETKEY_TOKEN" "$VALETKEY_TOKEN_EXPIRES_AT"; cat; echo to stderr >&2; exit 7'], { stdin: 'from stdin' });
    const [first, end, rest] = ran.stdout.split('\n');
    expect(ran).toMatchObject({ exit: 7, stderr: 'to stderr\n' });
    expect(first).toBe(token.trim());
    expect(Number(end)).toBeGreaterThan(Date.now() / 1000);
    expect(rest).toBe('from stdin');
  });

  it('holds one token a profile, and each where --env wants it', async () => {
    const ran = await home.valetkey(['run', '--profile', 'work', '--profile', 'other', '--env', 'API_KEY=work', '--', 'env']);
    const found = new Map(ran.stdout.split('\n').map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    expect(ran.exit).toBe(0);
    expect(found.get('API_KEY')).toBe(found.get('VALETKEY_TOKEN_WORK'));
    expect(found.get('VALETKEY_TOKEN_OTHER')).toBeTruthy();
    expect(found.get('VALETKEY_TOKEN_OTHER')).not.toBe(found.get('VALETKEY_TOKEN_WORK'));
    expect(found.has('VALETKEY_TOKEN')).toBe(false);
  });

  it('has no token on any command line, and words reach the program to the letter', async () => {
    const ran = await home.valetkey(['run', '--env', 'T=work', '--', 'sh', '-c', 'cat /proc/$PPID/cmdline /proc/$$/cmdline | tr "\\0" "\\n" | grep -cF "$T"; printf "<%s>" "$@"', 'sh', '--json', '-q', '', 'a b', '--', '--profile']);
    expect(ran.stdout).toBe('0\n<--json><-q><><a b><--><--profile>');
  });

  it('leaves what a shell substituted open for it', async () => {
    const child = spawn('bash', ['-c', `${process.execPath} ${CLI} run --profile work -- cat <(echo substituted)`], { env: { ...home.env }, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => { text += more; });
    await new Promise((resolve) => child.once('close', resolve));
    expect(text).toBe('substituted\n');
  });
});

describe('what cannot be run', () => {
  it('is 127 where it is not there, and 126 where it may not be run, before any token is asked for', async () => {
    writeFileSync(file('plain'), 'no program');
    chmodSync(file('plain'), 0o644);
    const before = records().length;
    expect(await home.valetkey(['run', '--profile', 'work', '--', 'no-such-program-here'])).toMatchObject({ exit: 127, stdout: '', stderr: expect.stringContaining('command_not_found') });
    expect(await home.valetkey(['run', '--profile', 'work', '--', file('plain')])).toMatchObject({ exit: 126, stderr: expect.stringContaining('command_not_executable') });
    expect(await home.valetkey(['run', '--profile', 'work', '--', '/usr'])).toMatchObject({ exit: 126, stderr: expect.stringContaining('is a directory') });
    expect(records().length).toBe(before);
  });

  it('is told by its start where its look did not show it', async () => {
    writeFileSync(file('orphan-script'), '#!/no/such/interpreter\n');
    chmodSync(file('orphan-script'), 0o755);
    expect(await home.valetkey(['run', '--profile', 'work', '--', file('orphan-script')])).toMatchObject({ exit: 127 });
  });

  it('is not run where a profile is unknown, or words make no sense', async () => {
    expect(await home.valetkey(['run', '--profile', 'nobody', '--', 'touch', file('ran')])).toMatchObject({ exit: 8, stderr: expect.stringContaining('unknown_profile') });
    expect(await home.valetkey(['run', '--env', 'LD_PRELOAD=work', '--', 'touch', file('ran')])).toMatchObject({ exit: 2, stderr: expect.stringContaining('LD_PRELOAD') });
    expect(await home.valetkey(['run', '--env', 'T=work', '--env', 'T=other', '--', 'touch', file('ran')])).toMatchObject({ exit: 2 });
    expect(await home.valetkey(['run', '--profile', 'work'])).toMatchObject({ exit: 2 });
    expect(textOf('ran')).toBe('');
    expect(readdirSync(files)).not.toContain('ran');
  });
});

/** In a process group that is not the terminal's foreground, so that no signal is taken for one of a terminal's. */
function startApart(script: string): { readonly child: ChildProcess; readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]> } {
  const child = spawn('python3', ['-c', 'import os, sys; os.setpgid(0, 0); os.execvp(sys.argv[1], sys.argv[1:])', process.execPath, CLI, 'run', '--env', 'T=work', '--', 'sh', '-c', script], { env: { ...home.env }, stdio: ['ignore', 'inherit', 'inherit'] });
  return { child, ended: new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal]))) };
}

const pidIn = (name: string): number => Number(textOf(name).trim());

describe('signals', () => {
  it.each(['TERM', 'HUP', 'INT', 'QUIT', 'USR1', 'USR2'])('SIG%s reaches the program, once, and its own answer counts', async (signal) => {
    const [ready, got] = [`ready-${signal}`, `got-${signal}`];
    const script = `trap 'echo got >> ${file(got)}; kept=1' ${signal}; echo $PPID > ${file(ready)}; while [ -z "$kept" ]; do sleep 0.05; done; sleep 0.3; exit 33`;
    const { ended } = startApart(script);
    await expect.poll(() => pidIn(ready)).toBeGreaterThan(0);
    process.kill(pidIn(ready), `SIG${signal}`);
    expect(await ended).toEqual([33, null]);
    expect(textOf(got)).toBe('got\n');
  });

  it.each([['TERM', 143], ['KILL', 137], ['USR1', 138]] as const)('a program that SIG%s ended makes an exit status of %i', async (signal, status) => {
    expect(await home.valetkey(['run', '--env', 'T=work', '--', 'sh', '-c', `kill -${signal} $$`])).toMatchObject({ exit: status });
  });

  it('an interrupted program interrupts the script that runs it', async () => {
    const child = spawn('sh', ['-c', `${process.execPath} ${CLI} run --env T=work -- sh -c 'kill -INT $$'; echo status $?`], { env: { ...home.env }, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => { text += more; });
    await new Promise((resolve) => child.once('close', resolve));
    expect(text).toBe('status 130\n');
  });

  it('a stop that is sent to it alone stops both, and goes on with both', async () => {
    const { ended } = startApart(`echo $$ $PPID > ${file('stop')}; while [ ! -e ${file('go')} ]; do sleep 0.05; done; exit 5`);
    await expect.poll(() => textOf('stop')).toMatch(/\d+ \d+\n/);
    const [program = 0, runner = 0] = textOf('stop').split(' ').map(Number);
    const state = (pid: number): string => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? '';
    process.kill(runner, 'SIGTSTP');
    await expect.poll(() => [state(program), state(runner)]).toEqual(['T', 'T']);
    process.kill(runner, 'SIGCONT');
    await expect.poll(() => [state(program), state(runner)]).not.toContain('T');
    writeFileSync(file('go'), '');
    expect(await ended).toEqual([5, null]);
  });
});

/** An interactive bash at a pseudo terminal. */
function openShell(): { readonly type: (keys: string) => void; readonly shown: () => string; readonly close: () => void } {
  const child = spawn('script', ['-qec', 'bash --norc --noprofile -i', '/dev/null'], { env: { ...home.env, PS1: 'ready$ ', SHELL: '/bin/sh' }, stdio: ['pipe', 'pipe', 'pipe'] });
  let text = '';
  child.stdin.on('error', () => undefined); // it may have ended
  child.stdout.setEncoding('utf8').on('data', (more: string) => { text += more; });
  return { type: (keys) => void child.stdin.write(keys), shown: () => text, close: () => void child.kill('SIGKILL') };
}

describe('at a terminal', () => {
  const command = `${process.execPath} ${CLI} run -- sh -c`;

  it('one Ctrl-C is one interrupt to the program, which is in the foreground', async () => {
    const shell = openShell();
    try {
      shell.type(`valetkey_script='trap "echo interrupt >> ${file('ctrl-c')}; n=1\${n}" INT; tty > ${file('its-tty')}; ps -o pgid= -o tpgid= -p $$ > ${file('groups')}; while [ -z "$n" ]; do sleep 0.1; done; sleep 0.5; exit 9'\r`);
      shell.type(`VALETKEY_PROFILE=work ${command} "$valetkey_script"; echo "ended with:$?"\r`);
      await expect.poll(() => textOf('groups')).toMatch(/\d+\s+\d+/);
      const [group, foreground] = textOf('groups').trim().split(/\s+/);
      expect(group).toBe(foreground);
      expect(textOf('its-tty')).toMatch(/^\/dev\/pts\/\d+/);
      shell.type('\u0003');
      await expect.poll(() => shell.shown()).toContain('ended with:9');
      expect(textOf('ctrl-c')).toBe('interrupt\n');
    } finally {
      shell.close();
    }
  });

  it('Ctrl-Z stops the job, fg goes on with it, and Ctrl-\\ ends it', async () => {
    const shell = openShell();
    try {
      shell.type(`VALETKEY_PROFILE=work ${command} 'echo $$ > ${file('job')}; while :; do sleep 0.1; done'\r`);
      await expect.poll(() => textOf('job')).toMatch(/\d/);
      shell.type('\u001a');
      await expect.poll(() => shell.shown()).toContain('Stopped');
      expect(readFileSync(`/proc/${pidIn('job')}/stat`, 'latin1')).toMatch(/\) T /);
      shell.type('echo "shell"is"here"; fg\r');
      await expect.poll(() => shell.shown()).toContain('shellishere');
      await expect.poll(() => readFileSync(`/proc/${pidIn('job')}/stat`, 'latin1')).not.toMatch(/\) T /);
      shell.type('\u001c');
      shell.type('echo "ended with:$?"\r');
      await expect.poll(() => shell.shown()).toMatch(/ended with:131/);
    } finally {
      shell.close();
    }
  });
});

describe('records and rules', () => {
  it('name what it starts, apart from a token that was printed', async () => {
    await home.valetkey(['run', '--profile', 'work', '--', 'true']);
    await home.valetkey(['token', 'work', '--force']);
    await home.valetkey(['run', '--profile', 'work', '--', 'env']);
    const released = records().filter(({ event, profile }) => event === 'token_released' && profile === 'work').map(({ caller }) => caller?.origin.run);
    expect(released).toContain('true');
    expect(released).toContain(null);
    expect(released.at(-1)).toBe('env');
  });
});

describe('consent', () => {
  type Question = { readonly id: string; readonly profile: string; readonly caller: string };
  const pending = async (): Promise<readonly Question[]> => JSON.parse((await home.valetkey(['approvals', '--json'])).stdout).pending;

  it('to a program that valetkey run starts is none to another program, nor to a token', async () => {
    const agree = home.openTerminal();
    const first = home.unattended(['run', '--env', 'T=work', '--no-interactive', '--', 'env']);
    await expect.poll(async () => (await pending()).map(({ caller }) => caller)).toEqual([expect.stringMatching(/^env, by valetkey run of /)]);
    const [question] = await pending();
    const said = await agree(['approve', question?.id ?? '', '--exe-only']);
    expect(said.exit, said.stdout).toBe(0);
    expect(await first).toMatchObject({ exit: 0, stdout: expect.stringContaining('\nT=') });
    expect(await home.unattended(['run', '--env', 'T=work', '--no-interactive', '--', 'env'])).toMatchObject({ exit: 0 });
    const refusing = [home.openTerminal(), home.openTerminal()];
    const others = [home.unattended(['run', '--env', 'T=work', '--no-interactive', '--', 'id']), home.unattended(['token', 'work', '--no-interactive'])];
    await expect.poll(async () => (await pending()).length).toBe(2);
    expect((await pending()).map(({ caller }) => caller.startsWith('id, by valetkey run')).toSorted()).toEqual([false, true]);
    for (const [at, { id }] of (await pending()).entries()) expect((await refusing[at]?.(['approve', id, '--deny']))?.exit).toBe(0);
    expect((await Promise.all(others)).map(({ exit }) => exit)).toEqual([5, 5]);
  });
});
