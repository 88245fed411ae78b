/**
 * `policy explain` says what the daemon does: the same random request is explained and then made, over the real door,
 * under random policies, by random programs, for profiles whose sign-ins differ in all that rules look at.
 * EXPLAIN_CASES says how many (default 1,000), EXPLAIN_SEED which.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTextFile, writeConfigFile } from '../../daemon/config/files.ts';
import { openConfigStore } from '../../daemon/config/store.ts';
import type { Caller, Config, Grant, Origin } from '../../daemon/core/domain.ts';
import type { Clock } from '../../daemon/core/ports.ts';
import { Secret } from '../../daemon/core/secret.ts';
import type { PolicyDocument, PolicyDocuments, PolicySource } from '../../daemon/core/policy-rules.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import type { EpochMs, ProfileName, Scope } from '../../shared/names.ts';
import type { CallerFacts, PolicyExplainReply } from '../../shared/policy-schemas.ts';
import { someCaller, someFacts, someGrant, someIdentity, someOrigin, someToken, T0 } from '../support/builders.ts';
import { FakeIssuer, FakeVault } from '../support/fakes.ts';
import { startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { documents, someRule, verdicts } from '../support/policies.ts';

const CASES = Number(process.env['EXPLAIN_CASES'] ?? 1_000);
const SEED = Number(process.env['EXPLAIN_SEED'] ?? 20_261_123);
/** Requests under each policy. */
const EACH = 20;
const UID = process.getuid?.() ?? 0;

const SCOPES = ['openid', 'api:read', 'api:write', 'admin:all'];
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { freq: 2, nil: undefined });
const PROGRAMS = ['/usr/bin/git', '/usr/bin/node', '/opt/x/bin/agent'];

/** As on the command line of `policy explain`. */
const callers: fc.Arbitrary<CallerFacts> = fc.record({
  executable: maybe(fc.constantFrom(...PROGRAMS)), script: maybe(fc.constantFrom('/home/u/a.py', '/opt/x/cli.js')), digest: maybe(fc.constantFrom('ab'.repeat(32), 'cd'.repeat(32))),
  class: maybe(fc.constantFrom('human' as const, 'agent' as const, 'workload' as const)), agent: maybe(fc.constantFrom('claude', 'codex')),
  ancestors: maybe(fc.array(fc.constantFrom('bash', 'claude', 'sshd', ...PROGRAMS), { maxLength: 2 })), unit: maybe(fc.constantFrom('a.service', 'session-1.scope')),
  terminal: maybe(fc.boolean()), container: maybe(fc.boolean()), forwarded: maybe(fc.boolean()), remote: maybe(fc.boolean()), orphan: maybe(fc.boolean()),
});

/** What the kernel would tell of such a program. */
function callerFrom(facts: CallerFacts): Caller {
  const origin: Origin = someOrigin({
    class: facts.class ?? 'human', agent: facts.agent ?? null, program: { executable: facts.executable ?? null, script: facts.script ?? null }, digest: facts.digest ?? null,
    lineage: (facts.ancestors ?? []).map((path, i) => ({ pid: 100 + i, startTime: '7', name: path.split('/').at(-1) ?? '', executable: path.startsWith('/') ? path : null, script: null })),
    unit: facts.unit ?? null, container: facts.container ?? false, forwarded: facts.forwarded ?? false, remote: facts.remote ?? false, isOrphan: facts.orphan ?? false,
  });
  return { ...someCaller({ uid: UID, terminal: facts.terminal === false ? null : { device: 34_816, foreground: true } }), origin };
}

type SignedIn = { readonly tenant: string | null; readonly flow: Grant['flow']; readonly ageS: number; readonly acr: string | null; readonly lifeS: number; readonly scopes: readonly string[]; readonly knowsTime: boolean };
const signIns: fc.Arbitrary<SignedIn> = fc.record({
  tenant: fc.constantFrom(null, 't1', 't2'), flow: fc.constantFrom('authorization_code' as const, 'device_code' as const), ageS: fc.constantFrom(10, 1_000, 100_000),
  acr: fc.constantFrom(null, 'a'), lifeS: fc.constantFrom(240, 3_600), scopes: fc.subarray(SCOPES, { minLength: 1 }), knowsTime: fc.boolean(),
});

const PROFILES = 16;
/** Rules match `work*` and `prod*`. */
const nameOf = (i: number): string => `${i % 2 === 0 ? 'work' : 'prod'}${i}`;
/** Mostly such that rules are asked, and not the tier alone. */
const TIER_OF = ['low', 'normal', 'normal', 'low', 'high', 'normal', 'low', 'privileged'] as const;
const CONFIG = `[limits]\nrequests_per_second = 10000\nburst = 100000\nconnections_per_process = 1000\n${Array.from({ length: PROFILES }, (_, i) =>
  `[profiles.${nameOf(i)}]\nissuer = "https://${i % 2 === 0 ? 'issuer.example' : 'other.example/t1'}"\nclient_id = "c"\nscopes = ["openid", "api:read"${i % 3 === 0 ? ', "admin:all"' : ''}]\ntier = "${TIER_OF[(i * 3) % TIER_OF.length] ?? 'normal'}"\n${i % 4 < 2 ? '' : 'resource = "https://api.example"\n'}`).join('')}`;

/** One file in four is not there; in the others a rule that looks at scopes stands among those that look at anything. */
function policyOf(source: PolicySource): fc.Arbitrary<PolicyDocument | null> {
  const scoped = fc.record({ scope: fc.constantFrom(...SCOPES), verdict: verdicts, at: fc.nat(2) });
  const document = fc.tuple(documents(source), scoped).map(([made, { scope, verdict, at }]) => ({
    ...made, rules: made.rules.toSpliced(at, 0, someRule({ name: 'scoped', verdict, when: { scopes: { any: [scope], all: null, none: null } } })),
  }));
  return fc.noBias(fc.option(document, { freq: 4, nil: null }));
}

let dir: string;
let vk: InProcess;
let current: Caller;
let policy: PolicyDocuments = { admin: null, user: null };
/** Since the boot, for questions: they are forgotten when one has been told. */
let skippedMs = 0;

function grantOf(config: Config, name: string, signedIn: SignedIn): Grant {
  const profile = config.profiles.get(name as ProfileName);
  if (profile === undefined) return expect.unreachable(name);
  const at = (T0 - signedIn.ageS * 1000) as EpochMs;
  const scopes = signedIn.scopes as readonly Scope[];
  return someGrant({
    profile: profile.name, issuer: profile.issuer, clientId: profile.clientId, digest: profile.digest, flow: signedIn.flow, scopes, resource: profile.resource, signedInAt: at,
    identity: someIdentity({ tenant: signedIn.tenant, acr: signedIn.acr, authTime: signedIn.knowsTime ? at / 1000 : null }),
    state: { kind: 'active', refreshToken: null, tokens: [someToken({ value: new Secret(`at-${name}-EXAMPLE`), scopes, acr: signedIn.acr, resource: profile.resource, obtainedAt: T0, expiresAt: (T0 + signedIn.lifeS * 1000) as EpochMs })] },
  });
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-explain-'));
  const file = join(dir, 'config.toml');
  writeFileSync(file, CONFIG, { mode: 0o600 });
  const real = createClock();
  const clock: Clock = { ...real, now: () => T0, boottimeMs: () => real.boottimeMs() + skippedMs, sleep: (ms, signal) => real.sleep(ms, signal) };
  const config = await openConfigStore({ file, home: dir, uid: UID, clock, readFile: readTextFile, writeFile: writeConfigFile });
  const vault = new FakeVault();
  // One in eight has nobody signed in.
  for (const [i, signedIn] of fc.sample(signIns, { numRuns: PROFILES, seed: SEED }).entries()) {
    if (i % 8 !== 7) vault.stored.set(nameOf(i) as ProfileName, { grant: grantOf(config.current(), nameOf(i), signedIn), intent: null });
  }
  current = callerFrom({});
  vk = await startInProcess({
    config: CONFIG,
    edges: {
      clock, config, vault, issuer: new FakeIssuer(),
      callers: { attest: async () => current, stillSame: () => true, isRunning: () => true, lookOnce: (work) => work(), programAt: async () => null, digestOf: async ({ origin }) => origin.digest, classReason: () => 'a test', session: async () => someFacts() },
      policyFiles: { userFile: '/user', adminFile: '/admin', read: async () => policy, parse: () => expect.unreachable('no text is parsed') },
    },
  });
});
afterAll(async () => {
  await vk?.stop();
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
});

// oxlint-disable-next-line no-explicit-any -- a test reads whatever it expects of a reply
type Reply = Readonly<Record<string, any>>;
/** All on one connection, in the line dialect: the same handlers, and a third of the work. */
function ask(...messages: readonly (readonly [string, object])[]): Promise<readonly Reply[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(vk.socket);
    const replies: Reply[] = [];
    socket.on('error', reject);
    createInterface({ input: socket }).on('line', (line) => {
      const { id, data } = JSON.parse(line) as { readonly id: number; readonly data: Reply };
      replies[id - 1] = data;
      if (replies.filter((each) => each !== undefined).length < messages.length) return;
      socket.destroy();
      resolve(replies);
    });
    socket.write(messages.map(([type, data], i) => `${JSON.stringify({ type, id: i + 1, data })}\n`).join(''));
  });
}

/** What a rule cannot say: whether a token that is allowed can be had of this sign-in, and at once. */
const OF_THE_GRANT = ['deadline_exceeded', 'login_required', 'as_token_too_long', 'scope_not_granted', 'resource_not_granted'];

function disagreement(told: PolicyExplainReply, given: Reply): string | null {
  if (given['access_token'] !== undefined) {
    if (told.outcome !== 'allow') return `it was given, explain says ${told.outcome}`;
    if (given['rule'] !== told.rule) return `given by ${String(given['rule'])}, explain says ${told.rule}`;
    return null;
  }
  const { code, detail, reason } = given as { readonly code: string; readonly detail: string; readonly reason?: string };
  if (told.outcome === 'allow') return OF_THE_GRANT.includes(code) ? null : `refused with ${code} (${detail}), explain says allow`;
  // Nobody is asked to agree to what needs a sign-in first.
  if (told.outcome === 'approval_required' && code === 'login_required') return null;
  if (code !== told.outcome) return `refused with ${code} (${detail}), explain says ${told.outcome}`;
  if (code === 'approval_required') return reason === told.rule ? null : `asked by ${String(reason)}, explain says ${told.rule}`;
  return detail === told.detail ? null : `"${detail}", explain says "${String(told.detail)}"`;
}

describe('policy explain', () => {
  it(`agrees with the daemon on ${CASES} random requests`, { timeout: 600_000 }, async () => {
    const policies = fc.sample(fc.record({ admin: policyOf('admin'), user: policyOf('user') }), { numRuns: Math.ceil(CASES / EACH), seed: SEED });
    const requests = fc.sample(fc.record({ profile: fc.nat(PROFILES - 1), scopes: maybe(fc.subarray(SCOPES, { minLength: 1 })), resource: maybe(fc.constantFrom('https://api.example', 'https://admin.example/v1')), caller: callers }), { numRuns: CASES, seed: SEED });
    const seen = new Map<string, number>();
    for (const [i, { profile, scopes, resource, caller }] of requests.entries()) {
      if (i % EACH === 0) {
        policy = policies[i / EACH] ?? policy;
        current = callerFrom({}); // not everybody may say so
        expect((await ask(['reload', {}]))[0]?.['code']).toBeUndefined();
      }
      current = callerFrom(caller);
      const wanted = { profile: nameOf(profile), ...(scopes === undefined ? {} : { scopes }), ...(resource === undefined ? {} : { resource }) };
      const [told, toldOfFacts, given] = await ask(['explainPolicy', { ...wanted, pid: process.pid }], ['explainPolicy', { ...wanted, caller }], ['token', { ...wanted, wait_s: 0, min_ttl_s: 0 }]) as [PolicyExplainReply, PolicyExplainReply, Reply];
      const what = (): string => JSON.stringify({ i, wanted, caller, policy, told, given });
      const { caller: _label, ...byPid } = told;
      expect(toldOfFacts, what()).toMatchObject(byPid);
      expect(disagreement(told, given), what()).toBeNull();
      if (given['code'] === 'approval_required') skippedMs += 301_000; // the question is forgotten
      const decided = `${told.outcome} by ${told.rule.split('/')[0] ?? ''}`;
      for (const each of [told.outcome, decided]) seen.set(each, (seen.get(each) ?? 0) + 1);
    }
    // All that there is to disagree on was there.
    for (const outcome of ['allow', 'policy_denied', 'approval_required', 'login_required', 'allow by admin', 'policy_denied by admin', 'approval_required by user']) expect(seen.get(outcome) ?? 0, [...seen].join(' ')).toBeGreaterThan(CASES / 100);
  });
});
