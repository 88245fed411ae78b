import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import type { IssuerOutcome, Transient } from '../../../../daemon/core/ports.ts';
import type { TokenBounds } from '../../../../daemon/core/grant.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { scopes, someTraits, someWorkload, T0 } from '../../../support/builders.ts';
import { settle } from '../../../support/fake-clock.ts';
import { refusal, tokenSet } from '../../../support/fakes.ts';
import { workloadEngine } from '../../../support/workload-engine.ts';

const transient = (over: Partial<Transient> = {}): IssuerOutcome => ({ kind: 'transient', answerLost: false, retryAfterMs: null, cause: 'http_503', reach: 'server', timedOut: false, ...over });
const bounds = (over: Partial<TokenBounds> = {}): TokenBounds => ({ rule: 'admin/r', key: 'k', beyond: null, maxTokenLifeS: null, maxRemainingS: null, flows: null, maxAgeS: null, amr: [], maxSessionS: null, maxIdleS: null, ...over });
const code = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'served', (cause: unknown) => (cause instanceof BrokerError ? cause.code : String(cause)));

describe('a token of a workload', () => {
  it('is asked for once by two hundred who want the same, and by each context for itself', async () => {
    const { get, issuer } = await workloadEngine(someWorkload());
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onClientCredentials = () => new Promise((resolve) => { answer = resolve; });
    const same = Array.from({ length: 200 }, () => get());
    await settle();
    expect(issuer.clientRequests.length).toBe(1);
    answer({ kind: 'tokens', tokens: tokenSet(1, { refreshToken: null }) });
    expect(new Set((await Promise.all(same)).map(({ token }) => token.value.reveal())).size).toBe(1);
    issuer.onClientCredentials = async (n) => ({ kind: 'tokens', tokens: tokenSet(n, { refreshToken: null }) });
    await Promise.all([get({ scopes: scopes('write') }), get({ scopes: scopes('write') }), get({ resource: 'https://api.example' })]);
    expect(issuer.clientRequests.map((each) => [each.scopes, each.resource])).toEqual([[['read'], null], [['write'], null], [['read'], 'https://api.example']]);
  });

  it('is served until its life is shorter than asked, and then asked for anew; no refresh token is kept', async () => {
    const { get, issuer, clock, audit } = await workloadEngine(someWorkload());
    issuer.onClientCredentials = async (n) => ({ kind: 'tokens', tokens: tokenSet(n) });
    expect((await get()).source).toBe('issuer');
    await clock.advance(530_000);
    expect((await get()).source).toBe('cache');
    await clock.advance(20_000);
    expect((await get()).source).toBe('issuer');
    expect(issuer.clientRequests.length).toBe(2);
    expect(audit.events.map(({ event }) => event)).toEqual(['workload_token_obtained', 'workload_token_obtained']);
    expect(JSON.stringify(audit.events)).not.toMatch(/rt-|at-|private-/);
  });

  it('of a broader scope serves a narrower wish', async () => {
    const { get, issuer } = await workloadEngine(someWorkload());
    issuer.onClientCredentials = async (n) => ({ kind: 'tokens', tokens: tokenSet(n, { refreshToken: null, scope: scopes('read write') }) });
    await get({ scopes: scopes('read write') });
    expect((await get({ scopes: scopes('write') })).source).toBe('cache');
    expect(issuer.clientRequests.length).toBe(1);
  });

  it('that cannot serve is not asked for again and again', async () => {
    const { get, issuer, clock } = await workloadEngine(someWorkload());
    for (let n = 0; n < 5; n += 1) expect(await code(get({ minTtlMs: 3_600_000 }))).toBe('min_ttl_unmet');
    expect(issuer.clientRequests.length).toBe(1);
    const narrow = bounds({ beyond: (held) => held.filter((scope) => scope !== 'write') });
    for (let n = 0; n < 5; n += 1) expect(await code(get({ bounds: narrow }))).toBe('policy_denied');
    expect(issuer.clientRequests.length).toBe(1);
    issuer.onClientCredentials = async () => refusal('invalid_scope');
    for (let n = 0; n < 5; n += 1) expect(await code(get({ scopes: scopes('admin') }))).toBe('issuer_refused');
    expect(issuer.clientRequests.length).toBe(2);
    await clock.advance(31_000);
    expect(await code(get({ scopes: scopes('admin') }))).toBe('issuer_refused');
    expect(issuer.clientRequests.length).toBe(3);
  });

  it('with more than was asked for is refused, unless nothing was asked for: then it is the issuer\'s choice', async () => {
    const grant = async (n: number): Promise<IssuerOutcome> => ({ kind: 'tokens', tokens: tokenSet(n, { refreshToken: null, scope: scopes('read admin') }) });
    const strict = await workloadEngine(someWorkload());
    strict.issuer.onClientCredentials = grant;
    expect(await code(strict.get())).toBe('issuer_response_invalid');
    const open = await workloadEngine(someWorkload({ scopes: [] }));
    open.issuer.onClientCredentials = grant;
    expect((await open.get()).token.scopes).toEqual(['read', 'admin']);
    const loose = await workloadEngine(someWorkload({ traits: someTraits({ pkce: 'unused', extraScopes: 'allow' }) }));
    loose.issuer.onClientCredentials = grant;
    expect((await loose.get()).token.beyond).toEqual(['admin']);
  });

  it('is none of a rule that lets out what people signed in for alone', async () => {
    const { get, issuer } = await workloadEngine(someWorkload());
    expect(await code(get({ bounds: bounds({ flows: ['authorization_code', 'device_code'] }) }))).toBe('policy_denied');
    expect(await code(get({ bounds: bounds({ flows: ['client_credentials'] }) }))).toBe('served');
    expect(await code(get({ bounds: bounds({ maxTokenLifeS: 300 }) }))).toBe('as_token_too_long');
    expect(issuer.clientRequests.length).toBe(1);
  });
});

describe('an issuer that fails', () => {
  it('is given time after an error, for this client and all its wishes, and asked again then', async () => {
    const { get, issuer, clock } = await workloadEngine(someWorkload());
    issuer.onClientCredentials = async () => transient({ retryAfterMs: 20_000 });
    expect(await code(get())).toBe('issuer_unreachable');
    await expect(get({ scopes: scopes('write') })).rejects.toMatchObject({ code: 'issuer_unreachable', facts: { retryAfterS: 20 } });
    expect(issuer.clientRequests.length).toBe(1);
    issuer.onClientCredentials = async (n) => ({ kind: 'tokens', tokens: tokenSet(n, { refreshToken: null }) });
    await clock.advance(20_001);
    expect((await get()).source).toBe('issuer');
  });

  it('is not knocked at by each workload in turn: one probe looks for all', async () => {
    const { get, issuer, clock, circuits } = await workloadEngine(someWorkload());
    issuer.onClientCredentials = async () => transient({ reach: 'network', cause: 'refused' });
    issuer.onProbe = async () => ({ kind: 'transient', answerLost: false, retryAfterMs: null, cause: 'refused', reach: 'network', timedOut: false });
    expect(await code(get())).toBe('issuer_unreachable');
    for (const each of ['a', 'b', 'c']) expect(await code(get({ scopes: scopes(each) }))).toBe('issuer_unreachable');
    expect(issuer.clientRequests.length).toBe(1);
    expect(circuits.outages()).toMatchObject([{ issuer: 'https://issuer.example', cause: 'refused' }]);
    issuer.onProbe = async () => ({ kind: 'reached' });
    issuer.onClientCredentials = async (n) => ({ kind: 'tokens', tokens: tokenSet(n, { refreshToken: null }) });
    await clock.advance(4_001);
    expect((await get()).source).toBe('issuer');
    expect(circuits.outages()).toEqual([]);
  });

  it('that does not answer is not waited for without end; its late token serves the next', async () => {
    const { get, issuer, clock } = await workloadEngine(someWorkload());
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onClientCredentials = () => new Promise((resolve) => { answer = resolve; });
    const waiting = code(get());
    await settle();
    await clock.advance(9_501);
    expect(await waiting).toBe('issuer_unreachable');
    answer({ kind: 'tokens', tokens: tokenSet(7, { refreshToken: null }) });
    await settle();
    expect((await get()).source).toBe('cache');
  });

  it('serves what lives in the cache on', async () => {
    const { get, issuer } = await workloadEngine(someWorkload());
    await get();
    issuer.onClientCredentials = async () => transient({ reach: 'network', cause: 'dns' });
    expect((await get()).source).toBe('cache');
  });
});

describe('a workload', () => {
  it('that is locked or removed while its token is fetched gives it to nobody, and keeps none', async () => {
    for (const end of ['lock', 'remove'] as const) {
      const { get, issuer, gate, tokens, discarded } = await workloadEngine(someWorkload());
      let answer: (outcome: IssuerOutcome) => void = () => undefined;
      issuer.onClientCredentials = () => new Promise((resolve) => { answer = resolve; });
      const waiting = code(get());
      await settle();
      if (end === 'lock') {
        gate.isLocked = true;
        tokens.setAsideAll();
      } else tokens.take(someWorkload().name);
      answer({ kind: 'tokens', tokens: tokenSet(1, { refreshToken: null }) });
      expect(await waiting).toBe('vault_locked');
      expect(tokens.take(someWorkload().name)).toEqual([]);
      // It has to die at the issuer that gave it.
      expect(discarded.map(({ workload, server, tokens: [token] }) => [workload.name, server.issuer, token?.value.reveal()])).toEqual([[someWorkload().name, expect.any(String), 'at-1-EXAMPLE']]);
    }
  });

  it('of another issuer, client, CA or proxy finds nothing of the one before', async () => {
    const { get, issuer } = await workloadEngine(someWorkload());
    await get();
    expect((await get({}, someWorkload({ digest: 'digest-other' }))).source).toBe('issuer');
    expect((await get()).source).toBe('issuer');
    expect(issuer.clientRequests.length).toBe(3);
  });

  it('is over on its last day, also with a good token in the cache', async () => {
    const workload = someWorkload({ expiresAt: (T0 + 60_000) as EpochMs });
    const { get, clock } = await workloadEngine(workload);
    await get({ minTtlMs: 0 });
    await clock.advance(60_000);
    expect(await code(get({ minTtlMs: 0 }))).toBe('workload_expired');
  });

  it('that somebody vouches for is vouched for anew at each request, and holds no key', async () => {
    const auth = { kind: 'federated', from: 'jwt', type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', issuer: null, subject: null, subjectPrefix: null, audience: 'https://issuer.example', source: { kind: 'file', path: '/t' } } as const;
    const { get, issuer, vouched, vault, clock } = await workloadEngine(someWorkload({ auth }));
    await get();
    await clock.advance(1);
    await get({ notBeforeMs: clock.boottimeMs() });
    expect(vouched).toEqual(['backup', 'backup']);
    expect(issuer.clientRequests.map(({ client: { proof } }) => (proof.kind === 'assertion' ? proof.assertion.reveal() : 'a key'))).toEqual(['assertion-1-EXAMPLE', 'assertion-2-EXAMPLE']);
    expect([...vault.records.values()]).toEqual([{ profile: 'backup', digest: 'key-digest-w', keys: [], lastUsedAt: T0 }]);
  });
});
