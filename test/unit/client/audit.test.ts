/** The verbs of the audit over a week of records: what is found, what is shown, and what is never shown. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callerWords, viewCaller } from '../../../client/audit/caller-view.ts';
import { parseTime } from '../../../client/audit/filter.ts';
import { follow } from '../../../client/audit/follow.ts';
import { auditFiles, readLines } from '../../../client/audit/log-files.ts';
import { OCSF, toOcsf } from '../../../client/audit/ocsf.ts';
import { escapeText, html } from '../../../client/audit/report/html.ts';
import { renderReport } from '../../../client/audit/report/page.ts';
import { summarise } from '../../../client/audit/report/summary.ts';
import { toSyslog } from '../../../client/audit/syslog.ts';
import { takeInventory } from '../../../client/audit/inventory.ts';
import { traceToken } from '../../../client/audit/trace.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import { appendTo } from '../../../daemon/audit/chain.ts';
import type { AuditRecord } from '../../../shared/audit-line.ts';
import { readAuditLine } from '../../../shared/audit-line.ts';
import { profileName, someCaller, someOrigin } from '../../support/builders.ts';
import { writeWeek } from '../../support/audit-week.ts';
import type { Week } from '../../support/audit-week.ts';
import { grant, NOW, profile, run } from './fake-world.ts';
import type { FakeApi } from './fake-world.ts';

const UNTIL = NOW * 1000;
let base: string;
let dir: string;
let week: Week;
const stopped = (): never => { throw ValetkeyError.local('daemon_unreachable', 'none runs'); };
const audit = (argv: readonly string[], api: FakeApi = {}, stdin = '') => run(['audit', ...argv], { base, api: { audit: stopped, grants: stopped, ...api }, stdin });
const record = (over: Partial<AuditRecord> = {}): AuditRecord => ({ v: 1, seq: 7, prev: '0', hash: 'f'.repeat(64), at: UNTIL, event: 'token_released', profile: 'work', caller: { ...someCaller() }, request: 'r1', facts: { scopes: ['a', 'b'], account: 'acc', sub: 'sub-of-ada', issuer: 'https://i.example' }, ...over });

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'vk-audit-cli-'));
  dir = join(base, 's/valetkey/audit');
  week = writeWeek(dir, UNTIL);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

describe('a caller', () => {
  it('says less where less is known', () => {
    const program = { executable: '/usr/bin/node', script: '/opt/claude/cli.js' };
    const known = viewCaller({ ...someCaller(), origin: { class: 'agent', agent: 'claude', program, digest: 'd', unit: 'u.scope', container: true, remote: false, isOrphan: true, lineage: [{ name: 'zsh' }, { name: 'sshd' }] } });
    expect(known).toMatchObject({ name: 'claude/cli.js', path: '/opt/claude/cli.js', agent: 'claude', kind: 'agent', digest: 'd', marks: ['container', 'orphan'], lineage: ['zsh', 'sshd'] });
    expect(callerWords(known)).toBe('claude/cli.js in claude (agent)');
    expect(viewCaller({ executable: '/usr/bin/git', pid: 1 })).toMatchObject({ name: 'git', kind: null, agent: null, marks: [], lineage: [] });
    expect(viewCaller({ pid: 'x', script: 7, program: [], origin: null })).toMatchObject({ path: '(unknown)', pid: null, lineage: [] });
    expect(viewCaller(null)).toBeNull();
  });
});

describe('tail and search', () => {
  it('show the last records, one a line', async () => {
    const { exit, stdout } = await audit(['tail', '-n', '3']);
    expect(exit).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(3);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}\w+/);
  });

  it('find by profile, caller, event, time, request and fingerprint, all at once', async () => {
    const find = async (...flags: string[]) => (JSON.parse((await audit(['search', '--json', '--limit', '100000', ...flags])).stdout) as { records: AuditRecord[] }).records;
    const all = await find('--event', 'token_released');
    expect(all).toHaveLength(week.releases);
    for (const each of await find('--profile', 'github')) expect(each.profile).toBe('github');
    const agents = await find('--caller', 'agent', '--event', 'token_released');
    expect(agents.length).toBeGreaterThan(50);
    expect(new Set(agents.map(({ caller }) => viewCaller(caller)?.agent))).toEqual(new Set(['claude', 'codex']));
    expect((await find('--caller', '/usr/bin/git', '--event', 'token_released')).length).toBe(all.filter(({ caller }) => caller?.['executable'] === '/usr/bin/git').length);
    for (const each of await find('--since', '1d')) expect(each.at).toBeGreaterThanOrEqual(UNTIL - 86_400_000);
    const [one] = all;
    expect(await find('--request', one?.request ?? '')).toEqual([one]);
    expect(await find('--token', 'fp-github-stolen', '--profile', 'github')).toMatchObject([{ caller: { executable: '/tmp/.cache/up<date>' } }]);
    expect(await find('--token', 'fp-github-stolen', '--profile', 'gitlab')).toEqual([]);
  });

  it('say what is wrong with a time, and follow no document', async () => {
    expect(await audit(['search', '--since', 'yesterday'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('--since takes') });
    expect(await audit(['tail', '-f', '--json'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('--follow') });
    expect(parseTime('--since', '2h', UNTIL)).toBe(UNTIL - 7_200_000);
    expect(parseTime('--since', '2026-11-23T09:30', 0)).toBe(Date.UTC(2026, 10, 23, 9, 30));
  });

  it('show nothing where nothing was ever recorded', async () => {
    expect(await run(['audit', 'tail'], { base: '/nonexistent' })).toMatchObject({ exit: 0, stdout: '' });
  });

  it('[AL-04] show no control characters of a program that has them in its name', async () => {
    const own = mkdtempSync(join(tmpdir(), 'vk-audit-esc-'));
    const logDir = join(own, 's/valetkey/audit');
    writeWeek(logDir, UNTIL);
    const last = readAuditLine(readFileSync(join(logDir, 'audit.jsonl'), 'utf8').trimEnd().split('\n').at(-1) ?? '')?.record;
    const { line } = appendTo({ seq: last?.seq ?? 0, hash: last?.hash ?? '' }, { event: 'token_released', profile: profileName('work'), caller: someCaller({ executable: '/tmp/\u001b]0;x\u0007\u202egit\r\n' }), request: null, facts: { scopes: ['\u001b[31mred'] } }, UNTIL);
    appendFileSync(join(logDir, 'audit.jsonl'), line);
    for (const argv of [['audit', 'tail'], ['audit', 'tail', '--json'], ['audit', 'export', '--format', 'syslog', '--since', '1m']]) {
      const { stdout } = await run(argv, { base: own });
      expect(stdout).toContain('git');
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
    }
    rmSync(own, { recursive: true, force: true });
  });
});

describe('tail --follow', () => {
  it('shows what comes, and goes on in the next file when the page is turned', { timeout: 10_000 }, async () => {
    const own = mkdtempSync(join(tmpdir(), 'vk-follow-'));
    const path = join(own, 'audit.jsonl');
    let head = { seq: 0, hash: '0'.repeat(64) };
    const append = (): void => {
      const made = appendTo(head, { event: 'locked', profile: null, caller: null, request: null, facts: {} }, 1);
      head = made.head;
      // In two writes, as a reader may see it.
      appendFileSync(path, made.line.slice(0, 20));
      appendFileSync(path, made.line.slice(20));
    };
    append();
    const stop = new AbortController();
    const seen: number[] = [];
    const following = (async () => {
      for await (const line of follow(path, 1, stop.signal)) {
        seen.push(line.record.seq);
        if (seen.length === 4) stop.abort();
      }
    })();
    append();
    append();
    await expect.poll(() => seen).toEqual([2, 3]);
    append();
    renameSync(path, join(own, 'audit-000000000001.jsonl'));
    append();
    await following;
    expect(seen).toEqual([2, 3, 4, 5]);
    rmSync(own, { recursive: true, force: true });
  });
});

describe('verify', () => {
  it('[AL-05] proves the chain and says who vouches for its signatures', async () => {
    const { exit, stdout } = await audit(['verify']);
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: expect.stringContaining(`The chain of ${week.records} records in 1 file is whole.`) as string });
    expect(stdout).toContain('only the log itself names');
    expect(stdout).toMatch(/^Signed +all of it, /m);
    const named = await audit(['verify', '--json', '--key', week.keys.publicKey.x]);
    expect(JSON.parse(named.stdout)).toMatchObject({ kind: 'intact', trust: 'key', unsigned: 0, compared_with_daemon: false });
    // A key may begin with a dash.
    expect(await audit(['verify', '--key', `-${'A'.repeat(42)}`])).toMatchObject({ exit: 8, stderr: expect.stringContaining('(audit_broken)') });
  });

  it('[AL-05] takes the daemon\'s word for the end, and the vault\'s for what was signed', async () => {
    const head = { seq: week.records + 1, hash: 'a'.repeat(64) };
    const reply = { file: week.path, head, signed: null, key: null, trouble: null, detections: [] };
    expect(await audit(['verify'], { audit: () => reply })).toMatchObject({ exit: 8, stderr: expect.stringContaining('missing at the end') });
    const remembered = { seq: 5, hash: 'b'.repeat(64) };
    const other = { ...reply, head: { seq: 0, hash: '' }, key: { kid: week.keys.kid, x: week.keys.publicKey.x, lasting: true, remembered } };
    expect(await audit(['verify'], { audit: () => other })).toMatchObject({ exit: 8, stderr: expect.stringContaining('line 5') });
  });

  it('starts no daemon', async () => {
    expect((await audit(['verify'])).mayStart).toEqual([false]);
  });
});

describe('trace', () => {
  it('[AL-02] reads the token from standard input, asks for its name, and shows who took it', async () => {
    const trace = (token: string) => ({ fingerprint: token === 'leaked-token' ? 'fp-github-stolen' : 'fp-nobody', kid: week.keys.kid, lasting: true });
    const { exit, stdout, stderr, calls } = await audit(['trace'], { trace }, 'Authorization: Bearer leaked-token\n');
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(calls).toContainEqual(['trace', 'leaked-token']);
    expect(stdout).toContain('/tmp/.cache/up<date>');
    expect(stdout).toMatch(/Login {2,}\d{4}-.*authorization_code, started by git/);
    expect(stdout).not.toContain('leaked-token');
    expect(await audit(['trace'], { trace }, 'other-token')).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('no record names this token') });
    expect(await audit(['trace'], { trace }, ' \n')).toMatchObject({ exit: 2, calls: [] });
    expect(await audit(['trace', 'leaked-token'], { trace })).toMatchObject({ exit: 2, calls: [] });
  });

  it('takes only the sign-in that the grant came of', async () => {
    const line = (over: Partial<AuditRecord>) => ({ text: '', record: record(over) });
    // Privileged access is signed in to beside the grant of the same profile.
    async function* lines() {
      yield line({ seq: 1, event: 'login_finished', facts: { signed_in_at: 100 } });
      yield line({ seq: 2, event: 'login_finished', facts: { signed_in_at: 200 } });
      yield line({ seq: 3, facts: { token: 'one', signed_in_at: 100 } });
      yield line({ seq: 4, facts: { token: 'two', signed_in_at: 200 } });
    }
    expect((await traceToken('one', lines())).login?.seq).toBe(1);
    expect((await traceToken('two', lines())).login?.seq).toBe(2);
    async function* ofAnEarlierOne() {
      yield line({ seq: 1, event: 'login_finished', facts: { signed_in_at: 200 } });
      yield line({ seq: 2, facts: { token: 'fp', signed_in_at: 100 } });
    }
    expect((await traceToken('fp', ofAnEarlierOne())).login).toBeNull();
  });
});

describe('inventory', () => {
  it('[AL-07] joins grants with their past and names what is stale, as JSON and as a table', async () => {
    const grants = () => ({ grants: [{ ...grant, profile: 'github', signed_in_at: NOW - 6 * 86_400 }, { ...grant, profile: 'old', signed_in_at: NOW - 90 * 86_400 }, { ...grant, profile: 'gone', state: 'login_required' as const, reason: 'signed_out' }] });
    const profiles = () => ({ profiles: [{ ...profile, name: 'github' }, { ...profile, name: 'old' }, { ...profile, name: 'new' }] });
    const { exit, stdout } = await run(['inventory', '--json'], { base, api: { grants, profiles, workloads: () => ({ workloads: [] }) } });
    expect(exit).toBe(0);
    const { inventory } = JSON.parse(stdout) as { inventory: { profile: string; stale: string[]; callers: { program: string; releases: number }[]; state: string | null }[] };
    expect(inventory.map((each) => each.profile)).toEqual(['github', 'gone', 'new', 'old']);
    const of = (name: string) => inventory.find((each) => each.profile === name);
    expect(of('github')).toMatchObject({ stale: [], flows_used: { authorization_code: 1 }, state: 'active' });
    expect(of('github')?.callers.map(({ program }) => program)).toEqual(expect.arrayContaining(['/usr/bin/git', '/home/ann/.local/share/claude/cli.js', '/tmp/.cache/up<date>']));
    expect(of('old')?.stale).toEqual(['not used for 90 days', 'never used']);
    expect(of('gone')?.stale).toEqual(expect.arrayContaining(['needs a sign-in: signed_out', 'its profile is not configured any more']));
    expect(of('new')).toMatchObject({ state: null, stale: [] });
    const table = await run(['inventory'], { base, api: { grants, profiles, workloads: () => ({ workloads: [] }) } });
    expect(table.stdout).toMatch(/^PROFILE +STATE/);
    expect(table.stderr).toContain('2 grants to look at');
  });

  it('says how many callers it left out', async () => {
    async function* lines() {
      for (let n = 0; n < 300; n += 1) yield { text: '', record: record({ caller: { ...someCaller({ origin: someOrigin({ program: { executable: `/bin/${n}`, script: null } }) }) } }) };
    }
    expect(await takeInventory([grant], [], lines(), NOW)).toMatchObject([{ callers_left_out: 44, callers: { length: 256 } }]);
  });
});

describe('export', () => {
  it('[AL-05] as jsonl is the file itself, byte for byte', async () => {
    expect((await audit(['export'])).stdout).toBe(readFileSync(week.path, 'utf8'));
  });

  it('as ocsf has the members that every class demands, and no account name', async () => {
    const events = (await audit(['export', '--format', 'ocsf', '--since', '2d'])).stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.length).toBeGreaterThan(100);
    for (const each of events) {
      expect(each).toMatchObject({ class_uid: expect.any(Number), category_uid: expect.any(Number), activity_id: expect.any(Number), severity_id: expect.any(Number), time: expect.any(Number), metadata: { version: '1.4.0', product: { name: 'Valetkey' } } });
      expect(each['type_uid']).toBe(Number(each['class_uid']) * 100 + Number(each['activity_id']));
      if (each['class_uid'] === 3002) expect(each).toHaveProperty('user.uid');
    }
    expect(JSON.stringify(toOcsf(record()))).not.toContain('sub-of-ada');
    expect(toOcsf(record({ event: 'token_refused' }))).toMatchObject({ status: 'Failure', actor: { process: { pid: 4711, file: { path: '/usr/bin/git' } } } });
    expect(toOcsf(record({ event: 'of_a_newer_version' }))).toMatchObject({ class_uid: 0 });
    expect(Object.keys(OCSF).length).toBeGreaterThan(20);
  });

  it('as syslog is RFC 5424, whatever stands in the facts', () => {
    const line = toSyslog(record({ event: 'token_refused', facts: { rule: 'a"b]c\\d', reason: 'x\ny' } }), 'host name');
    expect(line).toMatch(/^<84>1 \d{4}-\d\d-\d\dT[\d:.]+Z host_name valetkey - token_refused \[valetkey@32473 seq="7"/);
    expect(line).toContain('rule="a\\"b\\]c\\\\d"');
    expect(line).not.toContain('\n');
  });
});

describe('report', () => {
  it('writes one page for this user alone, and says what it wrote', async () => {
    const file = join(base, 'report.html');
    const { exit, stdout, stderr } = await audit(['report', '--html', '-o', file]);
    expect({ exit, stdout, stderr }).toEqual({ exit: 0, stdout: '', stderr: expect.stringContaining('Wrote report.html') as string });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(base).filter((name) => name.endsWith('.part'))).toEqual([]);
    expect((await audit(['report'])).stdout).toBe(readFileSync(file, 'utf8'));
    expect(await audit(['report', '-o', '/nonexistent/x.html'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('ENOENT') });
  });

  it('[AL-04] escapes every word that came from outside', async () => {
    expect(escapeText('<b>&"\'\u202e')).toBe('&lt;b&gt;&amp;&quot;&#39;');
    expect(html`<i title="${'"><script>'}">${['<a>', html`<b>${'&'}</b>`, null, 7]}</i>`.text).toBe('<i title="&quot;&gt;&lt;script&gt;">&lt;a&gt;<b>&amp;</b>7</i>');
    const evil = '</td><script>alert(1)</script>"\'><img src=x onerror=alert(1)>';
    async function* lines() {
      const caller = { ...someCaller({ executable: `/tmp/${evil}`, label: evil }), origin: { class: evil, agent: evil, program: { executable: `/tmp/${evil}`, script: null }, digest: evil, lineage: [{ name: evil }], unit: evil } };
      for (const event of ['token_released', 'token_refused', 'login_decided', 'login_finished', 'login_failed', 'detected', 'grant_parked', 'audit_truncated', 'peer_refused']) {
        yield { text: '', record: record({ event, profile: evil, caller, request: evil, facts: { rule: evil, reason: evil, outcome: evil, failed_probes: [evil], detector: evil, what: evil, where: evil, flow: evil, signed_seq: evil, resource: evil } }) };
      }
    }
    const summary = await summarise(lines(), { since: UNTIL - 1_000, until: UNTIL });
    const evilGrant = { ...grant, profile: evil, issuer: evil, scopes: [evil], flow: evil, reason: evil, state: 'login_required' as const };
    const page = renderReport({ summary, verdict: { kind: 'broken', file: evil, line: 1, why: evil }, grants: [evilGrant], host: evil, now: NOW });
    expect(page).not.toMatch(/<script|<img|onerror=alert\(1\)>[^&]/);
    expect(page.split('&lt;script&gt;').length).toBeGreaterThan(20);
  });

  it('costs the same for a year as for a week: rows and lists are bounded', async () => {
    async function* lines() {
      for (let n = 0; n < 30_000; n += 1) yield { text: '', record: record({ at: UNTIL - n, event: n % 3 === 0 ? 'token_refused' : 'token_released', profile: `p${n % 500}`, caller: { ...someCaller({ executable: `/bin/${n % 5_000}` }) } }) };
    }
    const summary = await summarise(lines(), { since: UNTIL - 40_000, until: UNTIL });
    expect(summary.callers.length).toBeLessThanOrEqual(201);
    expect(summary.profiles.length).toBeLessThanOrEqual(65);
    expect(summary.refusals).toHaveLength(200);
    expect(summary.totals).toMatchObject({ releases: 20_000, refusals: 10_000 });
    expect(summary.callers.reduce((sum, row) => sum + row.releases, 0)).toBe(20_000);
    expect(renderReport({ summary, verdict: { kind: 'intact', files: 1, records: 1, torn: [], checkpoints: 0, signed: null, kids: [], told: [] }, grants: null, host: 'h', now: NOW }).length).toBeLessThan(3_000_000);
  });

  it('counts all of the week, and misses no file', async () => {
    const summary = await summarise(readLines(await auditFiles(dir)), { since: UNTIL - 8 * 86_400_000, until: UNTIL });
    expect(summary.records).toBe(week.records);
    expect(summary.totals).toMatchObject({ refusals: 13, deviceSignIns: 1 });
    expect(summary.detections.map(({ kind }) => kind).toSorted()).toEqual(['device_where_pkce_worked', 'repeated_denials', 'unusual_caller']);
  });
});
