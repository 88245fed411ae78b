/** The audit with the built programs: a sign-in, a token, a leak, and the way back to who took it. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactVerify, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { collectCanaries, searchBytes } from '../support/canaries.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Finished, Home } from './built-cli.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('the audit of the built programs', { timeout: 30_000 }, () => {
  let home: Home;
  let issuer: EmbeddedIssuer;
  let token = '';
  const shown: Finished[] = [];
  const logFile = (): string => join(home.base, 'state/valetkey/audit/audit.jsonl');
  const valetkey = async (args: readonly string[], stdin = ''): Promise<Finished> => {
    const done = await home.valetkey(args, { stdin });
    shown.push(done);
    return done;
  };

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer();
    issuer.registerClient({ id: 'cli', redirectPaths: ['/callback'] });
    const add = await home.valetkey(['profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback', ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word])]);
    if (add.exit !== 0) throw new Error(add.stderr);
    const login = await home.atTerminal(['login', 'work']);
    if (login.exit !== 0) throw new Error(login.stdout);
    token = (await home.valetkey(['token', 'work'])).stdout.trim();
  });
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  it('shows what happened', async () => {
    const { exit, stdout } = await valetkey(['audit', 'tail']);
    expect(exit).toBe(0);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/)[1])).toEqual(expect.arrayContaining(['daemon_started', 'login_decided', 'login_finished', 'token_released']));
    expect((await valetkey(['audit', 'search', '--event', 'token_released', '--profile', 'work', '--since', '5m'])).stdout.trimEnd().split('\n')).toHaveLength(1);
  });

  it('[AL-02] leads from a leaked token to the login and to the process that took it', async () => {
    const { exit, stdout, stderr } = await valetkey(['audit', 'trace', '--json'], token);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ login: { event: 'login_finished', facts: { sub: 'ada' } }, releases: [{ profile: 'work', caller: { executable: process.execPath } }], revoked: [] });
    expect((await valetkey(['audit', 'trace'], 'a-token-of-somebody-else')).exit).toBe(2);
  });

  it('[AL-05] proves itself against the daemon\'s key, with a signature that any JOSE library takes', async () => {
    const key = JSON.parse((await valetkey(['audit', 'key', '--json'])).stdout) as { x: string; kid: string; kty: string; crv: string };
    await home.valetkey(['daemon', 'stop']);
    const verified = await valetkey(['audit', 'verify', '--json', '--key', key.x]);
    expect(JSON.parse(verified.stdout)).toMatchObject({ kind: 'intact', trust: 'key', unsigned: 0, compared_with_daemon: false, kids: [key.kid] });
    const checkpoint = readFileSync(logFile(), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line)).findLast(({ event }) => event === 'audit_checkpoint');
    await compactVerify(checkpoint.facts.jws, await importJWK(key, 'EdDSA'));
  });

  it('[AL-05] names the line that somebody altered, and exits with a status of its own', async () => {
    const whole = readFileSync(logFile(), 'utf8');
    const lines = whole.split('\n');
    const at = lines.findIndex((line) => line.includes('"token_released"'));
    writeFileSync(logFile(), [...lines.slice(0, at), (lines[at] ?? '').replace('"profile":"work"', '"profile":"play"'), ...lines.slice(at + 1)].join('\n'));
    expect(await valetkey(['audit', 'verify'])).toMatchObject({ exit: 8, stdout: '', stderr: expect.stringContaining(`line ${at + 1}: it was altered`) });
    writeFileSync(logFile(), whole);
    expect((await valetkey(['audit', 'verify'])).exit).toBe(0);
  });

  it('writes a page and an export, and takes stock', async () => {
    const page = join(home.base, 'report.html');
    expect((await valetkey(['audit', 'report', '--html', '-o', page])).exit).toBe(0);
    expect(readFileSync(page, 'utf8')).toContain('Who took which token');
    const [first] = (await valetkey(['audit', 'export', '--format', 'ocsf', '--event', 'token_released'])).stdout.split('\n');
    expect(JSON.parse(first ?? '')).toMatchObject({ class_uid: 3002, actor: { process: { pid: expect.any(Number) } } });
    const { exit, stdout } = await valetkey(['inventory', '--json']);
    expect({ exit, stock: JSON.parse(stdout) }).toMatchObject({ exit: 0, stock: { inventory: [{ profile: 'work', flows_used: { authorization_code: 1 }, callers: [{ releases: 1 }] }] } });
    for (const text of [readFileSync(page, 'utf8'), readFileSync(logFile(), 'utf8'), JSON.stringify(shown)]) expect(searchBytes('audit', text, collectCanaries(issuer.minted, {}))).toEqual([]);
  });
});
