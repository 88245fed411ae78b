/**
 * `npm run demo`: signs in once and lets ten programs at once have tokens, with the real daemon and the real
 * CLI against a real authorization server in this process. Each step says what it does and what it saw, and
 * fails the demo if it saw something else. Everything lives in one temporary directory and is gone at the end.
 *
 * --browser opens the desktop's browser instead of the scripted one.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { startIssuer } from './issuer.ts';
import type { EmbeddedIssuer } from './issuer.ts';
import { startResourceServer } from './resource-server.ts';
import { openSandbox, Unexpected } from './sandbox.ts';
import type { Ran, Sandbox } from './sandbox.ts';

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Unexpected(what);
}

/** Access tokens of the short-lived kind: long enough to arrive, short enough to wait for their end. */
const SHORT_LIFE_S = 2;
const PROFILE = 'demo';
const PROGRAMS = 10;

const browserBin = fileURLToPath(new URL('./browser-bin.js', import.meta.url));

function configuration(issuer: string, resource: string, browser: readonly string[] | null): string {
  return [
    'v = 1',
    '[vault]', 'backend = "passphrase"',
    `[profiles.${PROFILE}]`,
    `issuer = ${JSON.stringify(issuer)}`,
    'client_id = "valetkey"',
    'scopes = ["openid", "profile", "email", "offline_access", "read"]',
    `resource = ${JSON.stringify(resource)}`,
    'redirect_path = "/callback"',
    '# Plain http is taken from the literal loopback address alone, and only because this line says so.',
    'allow_loopback_http = true',
    ...(browser === null ? [] : [`browser = ${JSON.stringify(browser)}`]),
    '',
  ].join('\n');
}

async function callApi(url: string, token: string): Promise<{ readonly status: number; readonly body: string }> {
  const reply = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return { status: reply.status, body: (await reply.text()).trim() };
}

/** What the CLI said, as JSON; a failure is told in its own words. */
function document(ran: Ran): Record<string, unknown> {
  expect(ran.code === 0, `${ran.command} ended with status ${ran.code}: ${(ran.stderr || ran.stdout).trim()}`);
  const parsed: unknown = JSON.parse(ran.stdout);
  expect(typeof parsed === 'object' && parsed !== null, `${ran.command} printed no JSON object`);
  return { ...parsed };
}

function token(ran: Ran): string {
  expect(ran.code === 0, `${ran.command} ended with status ${ran.code}: ${(ran.stderr || ran.stdout).trim()}`);
  expect(/^\S+\n$/.test(ran.stdout), `${ran.command} printed something else than one token`);
  return ran.stdout.trim();
}

function filesUnder(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesUnder(path) : entry.isFile() ? [path] : [];
  });
}

/** Where a refresh token, a code or a verifier shows up in plain text: nowhere, one hopes. */
function leaks(sandbox: Sandbox, issuer: EmbeddedIssuer): { readonly searched: string; readonly found: readonly string[] } {
  const secrets = issuer.minted.filter(({ kind }) => ['refresh_token', 'id_token', 'authorization_code', 'code_verifier'].includes(kind));
  const files = filesUnder(sandbox.directory);
  const places = [...files.map((file) => [file, readFileSync(file, 'latin1')] as const), ['output of the CLI', sandbox.output()] as const];
  return {
    searched: `${secrets.length} secrets in ${files.length} files and all output`,
    found: places.filter(([, text]) => secrets.some(({ value }) => text.includes(value))).map(([place]) => place),
  };
}

async function until(what: string, holds: () => Promise<boolean>, limitMs: number): Promise<void> {
  const end = Date.now() + limitMs;
  while (!await holds()) {
    expect(Date.now() < end, `${what} did not happen within ${limitMs / 1000} s`);
    await sleep(50);
  }
}

let number = 0;
async function step(title: string, run: () => Promise<string>): Promise<void> {
  const began = performance.now();
  const saw = await run();
  number += 1;
  console.log(`${String(number).padStart(2)}. ${title}\n    ${saw} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}

async function demonstrate(sandbox: Sandbox, realBrowser: boolean): Promise<void> {
  const issuer = await startIssuer();
  sandbox.onClose(() => issuer.close());
  const api = await startResourceServer({ kind: 'introspection', introspect: (value) => issuer.introspect(value) });
  sandbox.onClose(() => api.close());
  console.log(`An authorization server (oidc-provider) at ${issuer.url}, an API that checks tokens at ${api.url}\n`);
  const refreshes = (): number => issuer.count('token', 'refresh_token');
  sandbox.writeConfig(configuration(issuer.url, api.url, realBrowser ? null : [process.execPath, browserBin, '--login', 'ada', '{url}']));

  await step('valetkey daemon start: the real daemon, a process of its own', async () => {
    const started = await sandbox.valetkey(['daemon', 'start']);
    expect(started.code === 0, `the daemon did not start: ${started.stderr.trim()}`);
    const { pid } = document(await sandbox.valetkey(['status', '--json']));
    expect(typeof pid === 'number' && sandbox.daemonRuns(), 'no process of the daemon runs');
    const unlocked = await sandbox.valetkey(['unlock', '--create', '--passphrase-stdin'], { input: `${randomBytes(24).toString('base64url')}\n` });
    expect(unlocked.code === 0, `the vault was not made: ${unlocked.stderr.trim()}`);
    return `process ${pid}; its vault is sealed with a passphrase, as on a machine without keychain`;
  });

  await step(`valetkey login ${PROFILE}: authorization code with PKCE over loopback`, async () => {
    const login = await sandbox.valetkeyAtTerminal(['login', PROFILE], realBrowser ? 300_000 : 30_000);
    expect(login.code === 0, `login ended with status ${login.code}: ${login.stdout.trim()}`);
    const asked = issuer.requests.find((request) => request.endpoint === 'par' || request.endpoint === 'authorization');
    expect(asked?.params['code_challenge_method'] === 'S256', 'the authorization request held no S256 challenge');
    expect(issuer.count('token', 'authorization_code') === 1, 'the code was not redeemed exactly once');
    // Behind the spinner, which a terminal would have wiped away.
    const said = /Signed in as [^\r\n]+/.exec(stripVTControlCharacters(login.stdout))?.[0];
    expect(said !== undefined, `login did not say who signed in: ${login.stdout.trim()}`);
    return `${said}; the code was redeemed once, with an S256 verifier${asked.endpoint === 'par' ? ', after a pushed request' : ''}`;
  });

  let first = '';
  await step(`valetkey token ${PROFILE}: a token, and nothing else, on standard output`, async () => {
    first = token(await sandbox.valetkey(['token', PROFILE]));
    const { aud, scope } = await issuer.introspect(first);
    expect([aud].flat().includes(api.url), 'the token is not for the API');
    return `${first.length} characters; the issuer says it is for ${String(aud)}, scope ${String(scope)}; refreshes so far: ${refreshes()}`;
  });

  await step('The API, called with that token: it asks the issuer about it', async () => {
    const [good, bad] = [await callApi(api.url, first), await callApi(api.url, 'made-up')];
    expect(good.status === 200 && bad.status === 401, `the API answered ${good.status} to the token and ${bad.status} to one that was made up`);
    return `${good.status} ${good.body}; a made-up token gets ${bad.status}`;
  });

  await step(`${PROGRAMS} programs ask at once, when the token has expired`, async () => {
    issuer.setLifetimes({ accessTokenS: SHORT_LIFE_S });
    const short = token(await sandbox.valetkey(['token', PROFILE, '--force', '--min-ttl', '0']));
    await until('the end of the short token', async () => !(await issuer.introspect(short)).active, (SHORT_LIFE_S + 5) * 1000);
    issuer.setLifetimes({ accessTokenS: 3600 });
    const before = refreshes();
    const tokens = new Set((await Promise.all(Array.from({ length: PROGRAMS }, () => sandbox.valetkey(['token', PROFILE])))).map(token));
    const sent = refreshes() - before;
    expect(sent === 1, `the issuer saw ${sent} refresh requests instead of one`);
    const [fresh = ''] = tokens;
    expect(tokens.size === 1 && fresh !== short && fresh !== first, 'the programs did not all get the same new token');
    const reused = issuer.events.filter(({ name }) => name === 'grant.revoked').length;
    expect(reused === 0, 'the issuer saw a refresh token used twice');
    const { status } = await callApi(api.url, fresh);
    expect(status === 200, `the API answered ${status}`);
    first = fresh;
    return `${PROGRAMS} answers, 1 refresh request at the issuer, no refresh token used twice; the API says ${status}`;
  });

  await step('valetkey status', async () => {
    const { grants } = document(await sandbox.valetkey(['status', '--json']));
    const grant: unknown = Array.isArray(grants) ? grants[0] : null;
    expect(typeof grant === 'object' && grant !== null && 'state' in grant && grant.state === 'active', 'status shows no active grant');
    const { searched, found } = leaks(sandbox, issuer);
    expect(found.length === 0, `a secret stands in plain text in ${found.join(', ')}`);
    return `profile ${PROFILE} active, generation ${'generation' in grant ? String(grant.generation) : '?'}; searched ${searched}: no refresh token, ID token, code or verifier`;
  });

  await step(`valetkey logout ${PROFILE}: asks the issuer to revoke`, async () => {
    const refreshToken = issuer.minted.findLast(({ kind }) => kind === 'refresh_token')?.value ?? '';
    const alive = await Promise.all([first, refreshToken].map(async (value) => (await issuer.introspect(value)).active));
    expect(alive.every(Boolean), 'a token was dead before the logout');
    const logout = await sandbox.valetkey(['logout', PROFILE]);
    expect(logout.code === 0, `logout ended with status ${logout.code}: ${logout.stderr.trim()}`);
    const dead = await Promise.all([first, refreshToken].map(async (value) => !(await issuer.introspect(value)).active));
    expect(dead.every(Boolean), 'the issuer still takes a token');
    const { status } = await callApi(api.url, first);
    expect(status === 401, `the API still answers ${status}`);
    const after = await sandbox.valetkey(['token', PROFILE]);
    expect(after.code === 3, `token ended with status ${after.code} instead of 3 (login_required)`);
    return `access and refresh token: active before, dead after, says the issuer; the API says ${status}; valetkey token exits with ${after.code}, login required`;
  });

  await step('valetkey daemon stop', async () => {
    const stopped = await sandbox.valetkey(['daemon', 'stop']);
    expect(stopped.code === 0, `daemon stop ended with status ${stopped.code}: ${stopped.stderr.trim()}`);
    await until('the end of the daemon', async () => !sandbox.daemonRuns(), 5_000);
    return 'the process is gone';
  });
}

const { values } = parseArgs({ options: { browser: { type: 'boolean', default: false } } });
const began = performance.now();
const sandbox = openSandbox(values.browser);
try {
  await Promise.race([demonstrate(sandbox, values.browser), sandbox.interrupted]);
  console.log(`\nAll as expected, in ${((performance.now() - began) / 1000).toFixed(1)} s. Nothing is left behind.`);
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Unexpected ? error.message : String(error instanceof Error ? error.stack : error)}`);
  process.exitCode ??= 1;
} finally {
  await sandbox.close();
}
