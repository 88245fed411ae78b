/**
 * A week of a developer's machine as an audit log: a few programs, two coding agents, a nightly job, a sign-in over
 * SSH, refusals, findings. The same seed makes the same log; it is chained and signed as the daemon does it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import { appendTo, ownEvent, START } from '../../daemon/audit/chain.ts';
import type { OwnEvent } from '../../daemon/audit/chain.ts';
import { Detectors } from '../../daemon/audit/detectors.ts';
import type { AuditEvent } from '../../daemon/core/ports.ts';
import { newSeed, SealedAuditKeys } from '../../daemon/vault/audit-keys.ts';
import { someCaller } from './builders.ts';
import { LogSink } from './fakes.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** mulberry32: small, and the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Actor = {
  readonly executable: string;
  readonly script: string | null;
  readonly kind: 'human' | 'agent' | 'workload';
  readonly agent: string | null;
  readonly unit: string | null;
  readonly container?: boolean;
  readonly remote?: boolean;
  readonly profiles: readonly string[];
  /** Releases in an hour of work. */
  readonly rate: number;
  readonly hours: readonly [number, number];
  readonly weekends: boolean;
};

const person = { kind: 'human', agent: null, unit: 'session-2.scope', hours: [8, 19], weekends: false } as const;
export const ACTORS: readonly Actor[] = [
  { ...person, executable: '/usr/bin/git', script: null, profiles: ['github', 'gitlab'], rate: 5 },
  { ...person, executable: '/usr/bin/kubectl', script: null, profiles: ['cluster-prod', 'cluster-dev'], rate: 6 },
  { ...person, executable: '/usr/bin/python3.12', script: '/home/ann/.local/bin/aws', profiles: ['aws-billing'], rate: 1.2 },
  { ...person, executable: '/usr/bin/node', script: '/usr/lib/node_modules/npm/bin/npm-cli.js', profiles: ['packages'], rate: 1.5 },
  { ...person, executable: '/usr/bin/docker', script: null, profiles: ['packages'], rate: 0.8 },
  { ...person, executable: '/usr/bin/curl', script: null, profiles: ['cluster-dev'], rate: 0.3 },
  { executable: '/usr/bin/node', script: '/home/ann/.local/share/claude/cli.js', kind: 'agent', agent: 'claude', unit: 'session-2.scope', profiles: ['github', 'cluster-dev'], rate: 14, hours: [9, 21], weekends: true },
  { executable: '/home/ann/.local/bin/codex', script: null, kind: 'agent', agent: 'codex', unit: 'session-2.scope', profiles: ['github'], rate: 5, hours: [10, 17], weekends: false, container: true },
  { executable: '/usr/bin/python3.12', script: '/home/ann/jobs/nightly-sync.py', kind: 'workload', agent: null, unit: 'nightly-sync.service', profiles: ['warehouse'], rate: 40, hours: [2, 3], weekends: true },
  { executable: '/usr/bin/terraform', script: null, kind: 'human', agent: null, unit: 'session-9.scope', remote: true, profiles: ['cluster-prod'], rate: 0.7, hours: [13, 16], weekends: false },
];

const SCOPES: Readonly<Record<string, readonly string[]>> = {
  github: ['repo:read', 'repo:write'], gitlab: ['read_repository'], 'cluster-prod': ['openid', 'groups', 'deploy'], 'cluster-dev': ['openid', 'groups'],
  'aws-billing': ['billing.read'], packages: ['packages:read', 'packages:write'], warehouse: ['warehouse.load'],
};

function callerOf(actor: Actor, pid: number): AuditEvent['caller'] {
  const program = { executable: actor.executable, script: actor.script };
  const caller = {
    ...someCaller({ ...program, pid, label: `${(actor.script ?? actor.executable).split('/').at(-1) ?? ''} (pid ${pid})` }),
    origin: {
      class: actor.kind, agent: actor.agent, program, run: null, digest: (actor.script === null ? actor.executable : '/node').split('').map((c) => (c.charCodeAt(0) % 16).toString(16)).join('').padEnd(64, '7').slice(0, 64),
      lineage: [{ executable: actor.agent === null ? '/usr/bin/zsh' : '/usr/bin/node', script: null, pid: pid - 1, startTime: '90', name: 'zsh' }],
      agentProcess: null, sessionLeader: null, isOrphan: false, unit: actor.unit, container: actor.container === true, remote: actor.remote === true, forwarded: false,
    },
  };
  return caller;
}

export type Week = { readonly records: number; readonly path: string; readonly keys: SealedAuditKeys; readonly releases: number };

/** @param until - the end of the week; the log begins seven days before it */
export function writeWeek(dir: string, until: number, seed = 7): Week {
  const random = seeded(seed);
  const from = until - 7 * DAY;
  const timed: { at: number; event: AuditEvent }[] = [];
  const put = (at: number, event: AuditEvent['event'], profile: string | null, caller: AuditEvent['caller'], facts: AuditEvent['facts']): void => {
    timed.push({ at: Math.floor(at), event: { event, profile: profile as ProfileName | null, caller, request: `r${Math.floor(random() * 1e9).toString(36)}`, facts } });
  };
  put(from + 1_000, 'daemon_started', null, null, { pid: 900, started_by: 'systemd' });
  const profiles = [...new Set(ACTORS.flatMap((actor) => actor.profiles))];
  const signedIn = new Map(profiles.map((profile, i) => [profile, from + 60_000 + i * 90_000]));
  for (const [profile, at] of signedIn) {
    const actor = ACTORS.find((each) => each.profiles.includes(profile)) ?? ACTORS[0];
    if (actor === undefined) continue;
    put(at, 'login_decided', profile, callerOf(actor, 1_000), { decision_id: profile, outcome: 'pkce_loopback', reason: 'local_gui_ok', rule: '11', failed_probes: [], issuer: `https://login.example.com/${profile}` });
    put(at + 9_000, 'login_finished', profile, callerOf(actor, 1_000), { flow: 'authorization_code', signed_in_at: at + 8_500, account: `acc-${profile}`, acr: 'mfa', amr: ['otp'] });
  }
  for (let hour = from; hour < until; hour += HOUR) {
    const date = new Date(hour);
    for (const [i, actor] of ACTORS.entries()) {
      const isWeekend = [0, 6].includes(date.getUTCDay());
      if ((isWeekend && !actor.weekends) || date.getUTCHours() < actor.hours[0] || date.getUTCHours() >= actor.hours[1]) continue;
      const lunch = date.getUTCHours() === 12 ? 0.4 : 1;
      const times = Math.floor(actor.rate * lunch * (0.4 + random() * 1.3) + random() * 0.8);
      for (let n = 0; n < times; n += 1) {
        const profile = actor.profiles[Math.floor(random() ** 2 * actor.profiles.length)] ?? '';
        const at = hour + random() * HOUR;
        put(at, 'token_released', profile, callerOf(actor, 2_000 + i * 100 + n), {
          token: `fp-${profile}-${Math.floor(hour / HOUR)}`, source: random() < 0.8 ? 'cache' : 'refresh', issuer: `https://login.example.com/${profile}`, client_id: 'cli',
          scopes: SCOPES[profile] ?? [], resource: null, flow: 'authorization_code', signed_in_at: (signedIn.get(profile) ?? 0) + 8_500, account: `acc-${profile}`, generation: 3,
          expires_at: Math.floor(at / 1000) + 3_600, rule: 'session', ...(random() < 0.3 ? { more_since_last: Math.floor(random() * 20) } : {}),
        });
        if (random() < 0.2) put(at - 300, 'token_refreshed', profile, null, { token: `fp-${profile}-${Math.floor(hour / HOUR)}`, issuer: `https://login.example.com/${profile}`, generation: 3, rotated: true, scopes: SCOPES[profile] ?? [] });
      }
    }
  }
  const claude = ACTORS[6] as Actor;
  for (let n = 0; n < 9; n += 1) put(from + 3 * DAY + 15 * HOUR + n * 22_000, 'token_refused', 'cluster-prod', callerOf(claude, 3_000 + n), { rule: 'agents-not-in-prod', reason: 'agents may not have tokens of privileged profiles' });
  for (let n = 0; n < 4; n += 1) put(from + 5 * DAY + 11 * HOUR + n * 50 * 60_000, 'token_refused', 'warehouse', callerOf(claude, 3_100 + n), { rule: 'confirm-each-time', reason: 'nobody confirmed it in time' });
  const ssh = { ...(ACTORS[9] as Actor) };
  put(from + 4 * DAY + 13 * HOUR, 'login_decided', 'cluster-prod', callerOf(ssh, 4_000), { decision_id: 'd', outcome: 'device', reason: 'ssh_no_forward', rule: '14', failed_probes: ['ssh_no_forward', 'headless_no_browser'] });
  put(from + 4 * DAY + 13 * HOUR + 70_000, 'login_finished', 'cluster-prod', callerOf(ssh, 4_000), { flow: 'device_code', signed_in_at: from + 4 * DAY + 13 * HOUR + 69_000, account: 'acc-cluster-prod' });
  put(from + 2 * DAY + 6 * HOUR, 'login_decided', 'warehouse', callerOf(ACTORS[8] as Actor, 4_100), { decision_id: 'e', outcome: 'refuse', reason: 'human_flow_in_automation', rule: '3', failed_probes: [] });
  const stranger: Actor = { ...person, executable: '/tmp/.cache/up<date>', script: null, profiles: ['github'], rate: 1 };
  put(until - 9 * HOUR, 'token_released', 'github', callerOf(stranger, 6_666), { token: 'fp-github-stolen', source: 'cache', issuer: 'https://login.example.com/github', scopes: SCOPES['github'] ?? [], signed_in_at: (signedIn.get('github') ?? 0) + 8_500, rule: 'session' });
  return write(dir, timed.toSorted((a, b) => a.at - b.at));
}

function write(dir: string, timed: readonly { readonly at: number; readonly event: AuditEvent }[]): Week {
  const keys = new SealedAuditKeys({ seed: newSeed(), last: null }, null);
  let head = START;
  let since = 0;
  const lines: string[] = [];
  const append = (event: AuditEvent | OwnEvent, at: number): void => {
    const made = appendTo(head, event, at);
    head = made.head;
    lines.push(made.line);
    since += 1;
  };
  let found: OwnEvent[] = [];
  const detectors = new Detectors({ log: new LogSink(), append: (event) => void found.push(event) }, []);
  for (const { at, event } of timed) {
    append(event, at);
    detectors.see(event, at as EpochMs);
    for (const each of found) append(each, at);
    found = [];
    if (since >= 256) {
      append(ownEvent('audit_checkpoint', { jws: keys.sign({ ...head, at }), kid: keys.kid, key: keys.publicKey }), at);
      since = 0;
    }
  }
  append(ownEvent('audit_checkpoint', { jws: keys.sign({ ...head, at: timed.at(-1)?.at ?? 0 }), kid: keys.kid, key: keys.publicKey }), timed.at(-1)?.at ?? 0);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, 'audit.jsonl');
  writeFileSync(path, lines.join(''), { mode: 0o600 });
  return { records: lines.length, path, keys, releases: timed.filter(({ event }) => event.event === 'token_released').length };
}
