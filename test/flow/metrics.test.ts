/** GET /v1/metrics and the events that a view of what happens lives on, on a daemon in this process. */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { collectCanaries, searchBytes } from '../support/canaries.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LineClient } from '../support/line-client.ts';
import { codeOf, readDocument, rowsOf, sectionOf } from '../unit/docs/markdown.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
let looks = 0;

beforeAll(async () => {
  issuer = await startIssuer();
  vk = await startInProcess({
    config: profileToml('work', issuer.url) + profileToml('other', issuer.url),
    // What a second look has, and a first one has not.
    edges: { load: () => ({ residentBytes: 70_000_000, cpuS: 1.5, loopDelay: (looks += 1) === 1 ? null : { meanS: 0.001, p99S: 0.004, maxS: 0.02 } }) },
  });
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});

async function metrics(): Promise<{ readonly text: string; readonly type: string | undefined }> {
  const { status, text, headers } = await vk.api('GET', '/v1/metrics');
  expect(status).toBe(200);
  return { text, type: headers['content-type'] };
}

/** Of a sample, as it is written. */
async function value(sample: string): Promise<number> {
  const line = (await metrics()).text.split('\n').find((each) => each.startsWith(`${sample} `));
  return line === undefined ? Number.NaN : Number(line.slice(sample.length + 1));
}

// The text format 0.0.4, line by line: names and labels of the data model, escapes in label values, Go's floats.
const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const FLOAT = '(?:[+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[+-]?\\d+)?|NaN|[+-]Inf)';
const HELP = new RegExp(`^# HELP (${NAME}) (?:[^\\\\]|\\\\[\\\\n])*$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? ${FLOAT}$`, 'i');

/** Problems of an exposition, by the grammar: none, if it is one. */
function faultsOf(text: string): readonly string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  const samples = new Set<string>();
  let current: { readonly name: string; type: string | null } | null = null;
  if (!text.endsWith('\n')) faults.push('the last line is not ended');
  for (const line of text.slice(0, -1).split('\n')) {
    const help = HELP.exec(line)?.[1];
    const [, typed, type = null] = TYPE.exec(line) ?? [];
    const [, name, labels = ''] = SAMPLE.exec(line) ?? [];
    if (help !== undefined) {
      if (seen.has(help)) faults.push(`${help} comes twice`);
      seen.add(help);
      current = { name: help, type: null };
    } else if (typed !== undefined) {
      if (current?.name !== typed || current.type !== null) faults.push(`TYPE of ${typed} is not behind its HELP`);
      else current.type = type;
      if (type === 'counter' && !typed.endsWith('_total')) faults.push(`the counter ${typed} does not end in _total`);
    } else if (name === undefined) faults.push(`no line of the format: ${line}`);
    else {
      if (current?.name !== name || current.type === null) faults.push(`${name} is not in its group`);
      if (samples.has(`${name}{${labels}}`)) faults.push(`${name}{${labels}} comes twice`);
      samples.add(`${name}{${labels}}`);
    }
  }
  return faults;
}

describe('GET /v1/metrics', () => {
  it('is Prometheus text by the grammar of its format', async () => {
    const { text, type } = await metrics();
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(faultsOf(text)).toEqual([]);
    expect(text.split('\n').filter((line) => line.startsWith('# TYPE valetkey_')).length).toBe(text.split('\n').filter((line) => line.startsWith('# TYPE ')).length);
  });

  it.each(['x 1', '# HELP a\n# TYPE a counter\na 1\n', '# HELP a_total x\n# TYPE a_total counter\na_total{l=v} 1\n', '# HELP a x\n# TYPE a gauge\na 1\na 2\n', '# HELP a x\n# TYPE a gauge\nb 1\n'])('the grammar refuses what is none: %j', (text) => {
    expect(faultsOf(text)).not.toEqual([]);
  });

  it('has the metrics that docs/protocol.md lists, with their types, and no other', async () => {
    await metrics(); // a second look has them all
    const stated = rowsOf(sectionOf(readDocument('docs/protocol.md'), 'GET /v1/metrics')).filter(([name]) => codeOf(name).startsWith('valetkey_')).map(([name, type]) => `${codeOf(name)} ${type}`);
    expect([...(await metrics()).text.matchAll(/^# TYPE (\S+ \S+)$/gm)].map(([, line]) => line)).toEqual(stated);
  });

  it('counts tokens by result, refreshes by outcome, sign-ins and refusals', async () => {
    expect((await vk.api('POST', '/v1/token', { profile: 'work' })).status).toBe(401);
    await vk.signIn('work', 'ada');
    expect((await vk.api('POST', '/v1/token', { profile: 'work' })).status).toBe(200);
    expect((await vk.api('POST', '/v1/token', { profile: 'work' })).status).toBe(200);
    expect((await vk.api('POST', '/v1/token', { profile: 'work', force: true })).status).toBe(200);
    expect((await vk.api('POST', '/v1/token', { profile: 'nope' })).status).toBe(404);
    const found = Object.fromEntries(await Promise.all([
      'valetkey_token_requests_total{result="cache"}', 'valetkey_token_requests_total{result="refresh"}', 'valetkey_token_requests_total{result="login_required"}', 'valetkey_token_requests_total{result="unknown_profile"}',
      'valetkey_refreshes_total{outcome="refreshed"}', 'valetkey_logins_total{outcome="complete"}', 'valetkey_grants{state="active"}', 'valetkey_vault_open', 'valetkey_shut', 'valetkey_workload_token_requests_total{result="cache"}',
    ].map(async (sample) => [sample, await value(sample)])) as readonly (readonly [string, number])[]);
    expect(found).toEqual({
      'valetkey_token_requests_total{result="cache"}': 2, 'valetkey_token_requests_total{result="refresh"}': 1, 'valetkey_token_requests_total{result="login_required"}': 1, 'valetkey_token_requests_total{result="unknown_profile"}': 1,
      'valetkey_refreshes_total{outcome="refreshed"}': 1, 'valetkey_logins_total{outcome="complete"}': 1, 'valetkey_grants{state="active"}': 1, 'valetkey_vault_open': 1, 'valetkey_shut': 0, 'valetkey_workload_token_requests_total{result="cache"}': 0,
    });
    await vk.api('POST', '/v1/lock');
    expect((await vk.api('POST', '/v1/token', { profile: 'work' })).status).toBe(423);
    expect(await value('valetkey_denials_total{what="token"}')).toBe(1);
    expect(await value('valetkey_shut')).toBe(1);
    await vk.api('POST', '/v1/unlock', {});
    expect(await value('valetkey_open_connections')).toBeGreaterThan(0);
  });

  it('has no label that anybody can choose, and no secret', async () => {
    const { text } = await metrics();
    for (const [, label = ''] of text.matchAll(/[{,](\w+)="/g)) expect(['result', 'outcome', 'what', 'state', 'version', 'node', 'stat']).toContain(label);
    expect(text).not.toMatch(/nope|127\.0\.0\.1|\bwork\b/);
    expect(searchBytes('metrics', text, collectCanaries(issuer.minted))).toEqual([]);
  });

  it('is the member text of a frame', async () => {
    const [reply] = await new LineClient(vk.socket).ask({ type: 'metrics', id: 1 }).wait(1);
    expect(reply).toMatchObject({ type: 'metrics', status: 200 });
    expect(faultsOf(reply?.['data'].text)).toEqual([]);
  });
});

type Event = { readonly event: string; readonly profile: string | null; readonly detail: string | null; readonly caller?: string; readonly count?: number };

/** Events from now on. */
async function listen(): Promise<{ readonly events: Event[]; close(): void }> {
  const events: Event[] = [];
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: vk.socket, path: '/v1/events', agent: false }, (response) => {
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => events.push(...[...chunk.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as Event)));
      resolve({ events, close: () => asking.destroy() });
    });
    asking.on('error', reject);
    asking.end();
  });
}

describe('GET /v1/events', () => {
  it('tells of sign-ins, refreshes, releases with who asked, and refusals', async () => {
    const { events, close } = await listen();
    try {
      await vk.signIn('other', 'ada');
      await vk.api('POST', '/v1/token', { profile: 'other', force: true });
      await vk.api('POST', '/v1/token', { profile: 'other' });
      await vk.api('POST', '/v1/lock');
      await vk.api('POST', '/v1/token', { profile: 'other' });
      await vk.api('POST', '/v1/unlock', {});
      await expect.poll(() => events.some(({ event }) => event === 'unlocked')).toBe(true);
      const of = (name: string) => events.filter(({ event }) => event === name);
      expect(of('login_started')).toMatchObject([{ profile: 'other' }]);
      expect(of('login_finished')).toMatchObject([{ profile: 'other', detail: 'complete' }]);
      expect(of('token_refreshed')).toMatchObject([{ profile: 'other' }]);
      // What was released before is told within a second, to whoever listens by then.
      expect(of('token_released').filter(({ profile }) => profile === 'other').slice(0, 1)).toMatchObject([{ profile: 'other', caller: expect.stringContaining(String(process.pid)) as string, count: 1, detail: expect.stringContaining('shipped/') as string }]);
      expect(of('token_refused')).toMatchObject([{ profile: 'other', caller: expect.any(String) as string, detail: expect.stringContaining('user-lock') as string }]);
      expect(searchBytes('events', JSON.stringify(events), collectCanaries(issuer.minted))).toEqual([]);
    } finally {
      close();
    }
  });

  it('counts what left since, once a second and no more', async () => {
    const { events, close } = await listen();
    try {
      // What the tests before took is told to whoever listens by then.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      events.length = 0;
      await vk.signIn('other', 'ada');
      const released = () => events.filter(({ event }) => event === 'token_released');
      for (let i = 0; i < 20; i += 1) await vk.api('POST', '/v1/token', { profile: 'other' });
      await expect.poll(() => released().reduce((sum, { count = 0 }) => sum + count, 0)).toBe(20);
      expect(released().length).toBeLessThan(20);
      expect(new Set(released().map(({ profile, caller }) => `${profile} ${caller}`)).size).toBe(1);
      // A new record of the audit counts none of them twice.
      vk.skipMs += 61_000;
      await vk.api('POST', '/v1/token', { profile: 'other' });
      await expect.poll(() => released().reduce((sum, { count = 0 }) => sum + count, 0)).toBe(21);
    } finally {
      close();
    }
  });
});
