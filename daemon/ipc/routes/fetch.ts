/**
 * POST /v1/fetch: use without possession. Policy decides as for a token, which then stays here; the API's answer goes to
 * the caller as it comes, at the caller's pace, and no faster than it is searched for the token.
 *
 * U1  What goes out to the API is on record before it goes (fetch_started), and what came back when it is over.
 * U2  An answer that may not go on is cut in the middle of its transfer: nobody can take it for a whole one.
 * U3  A caller who leaves, a lock and a panic end the request to the API.
 */
import type * as v from 'valibot';
import { ANSWERED_BY } from '../../../shared/answered-by.ts';
import type { fetchRequest } from '../../../shared/fetch-schemas.ts';
import type { Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import { grantFacts } from '../../core/grant-facts.ts';
import type { ResourceAnswer } from '../../core/resource-port.ts';
import type { Ask, BytesSink } from '../dispatch.ts';
import { Ending } from '../deadline.ts';
import { asBrokerError } from '../problem.ts';
import type { Broker } from './broker.ts';
import { claimedOf } from './claimed.ts';
import { wantedOf } from './fetch-request.ts';
import type { Wanted } from './fetch-request.ts';
import { pickProfile } from './pick-profile.ts';
import { shutError } from './ruling.ts';
import { token, Used } from './token.ts';

type Body = v.InferOutput<typeof fetchRequest>;
type Served = ReturnType<typeof Used.servedOf>;

const DEFAULT_TIMEOUT_S = 60;
const DEFAULT_MAX_BYTES = 33_554_432;
const FETCHES = 32;
/** No process takes them all. */
const FETCHES_PER_PROCESS = 8;
/** How soon a lock is seen by an answer that is on its way. */
const LOOK_MS = 250;
const REPLACED_AFTER_MS = 60_000;

/** Those that are under way, by the process that asked. */
export class Fetches {
  readonly #underWay: string[] = [];

  enter(by: string): () => void {
    if (this.#underWay.filter((each) => each === by).length >= FETCHES_PER_PROCESS) throw new BrokerError('too_many_requests', `this process has ${FETCHES_PER_PROCESS} fetches under way`, { retryAfterS: 1 });
    if (this.#underWay.length >= FETCHES) throw new BrokerError('too_many_requests', `${FETCHES} fetches are under way`, { retryAfterS: 1 });
    this.#underWay.push(by);
    return () => void this.#underWay.splice(this.#underWay.indexOf(by), 1);
  }
}

export async function fetchResource(fetches: Fetches, broker: Broker, ask: Ask): Promise<undefined> {
  const body = ask.body as Body; // parsed by this method's schema
  const { openBytes, caller } = ask;
  if (openBytes === null) throw new BrokerError('bad_request', 'an API answers with bytes, for which frames have no place', { hint: 'Send POST /v1/fetch over HTTP to the same socket' });
  const pick = (): Profile => pickProfile(broker.config.current(), body.profile, body.profile === undefined ? body.resource : undefined);
  const profile = pick();
  // Before anybody is asked for anything.
  const wanted = wantedOf(profile, body);
  const leave = fetches.enter(`${caller.pid}/${caller.startTime}`);
  const ending = new Ending();
  const goAway = (): void => ending.end(ask.gone.reason);
  const giveUp = (): void => ending.end(ask.signal.reason);
  ask.gone.addEventListener('abort', goAway, { once: true });
  // Of the caller's leaving, and of the method's time: after that somebody else has answered.
  ask.signal.addEventListener('abort', giveUp, { once: true });
  if (ask.signal.aborted) giveUp();
  const run = new Run(broker, ask, profile, wanted);
  const done = (): void => {
    ask.gone.removeEventListener('abort', goAway);
    ask.signal.removeEventListener('abort', giveUp);
    ending.end(new Error('the fetch is over'));
    leave();
  };
  try {
    const send = async (served: Served, signal: AbortSignal): Promise<ResourceAnswer> => {
      // A person may have taken a while to agree: where it may go is what the configuration says by now.
      const now = pick();
      wantedOf(now, body);
      const answer = await broker.resources.fetchResource({ ...wanted, token: served.token.value, connection: now, allowPrivate: now.fetch.allowPrivate, maxBytes: body.max_bytes ?? DEFAULT_MAX_BYTES }, signal);
      ending.signal.throwIfAborted();
      return answer;
    };
    const served = await tokenOf(broker, ask, body, run);
    void watch(broker, ending, (body.timeout_s ?? DEFAULT_TIMEOUT_S) * 1000);
    const first = new Ending();
    ending.signal.addEventListener('abort', () => first.end(ending.signal.reason), { once: true });
    ending.signal.throwIfAborted();
    let answer = await send(served, first.signal);
    if (isOutlived(answer, served, broker.clock.now())) {
      await run.note(answer, 'token_refused');
      first.end(new Error('the token of this answer was refused'));
      answer = await send(await tokenOf(broker, ask, body, run, true), ending.signal);
    }
    ask.signal.removeEventListener('abort', giveUp);
    const sink = openBytes({ status: answer.status, headers: { ...answer.headers, [ANSWERED_BY]: 'resource' } });
    // The answer has begun: whatever comes now is told by how it ends. Until then it is under way, for who stops or replaces the daemon.
    await pump(broker, run, answer, sink, ending.signal);
    done();
    return undefined;
  } catch (cause) {
    try {
      await run.note(null, asBrokerError(cause).facts.reason ?? asBrokerError(cause).code);
    } finally {
      done();
    }
    throw cause;
  }
}

/**
 * RFC 6750, section 3.1: the API takes the token no more, as after a revocation that nobody here was told of. What was
 * refused was not done, so it may be sent again, by whatever method. A token of the last minute is not replaced: an API
 * that takes none would have the sign-in refreshed by every call.
 */
function isOutlived({ status }: ResourceAnswer, { token: { obtainedAt } }: Served, nowMs: number): boolean {
  return status === 401 && nowMs - obtainedAt >= REPLACED_AFTER_MS;
}

async function tokenOf(broker: Broker, ask: Ask, { scopes, resource, min_ttl_s: minTtlS, wait_s: waitS, claimed }: Body, run: Run, isForced = false): Promise<Served> {
  const wish = {
    profile: run.profile.name, interaction: 'never', ...(scopes === undefined ? {} : { scopes }), ...(resource === undefined ? {} : { resource }),
    ...(isForced ? { force: true } : {}), ...(minTtlS === undefined ? {} : { min_ttl_s: minTtlS }), ...(waitS === undefined ? {} : { wait_s: waitS }), ...(claimed === undefined ? {} : { claimed }),
  };
  const used = await token(broker, ask.forToken(wish, { as: 'fetch', note: (served, rule) => run.begin(served, rule) }));
  if (!(used instanceof Used)) throw new Error('a token was to stay here');
  const served = Used.servedOf(used);
  if (served.token.tokenType.toLowerCase() !== 'bearer') throw new BrokerError('fetch_refused', `a token of type ${served.token.tokenType} cannot be used so`, { reason: 'token_type' });
  return served;
}

/** Ends it by its time, and when nothing may leave any more. */
async function watch(broker: Broker, ending: Ending, ms: number): Promise<void> {
  const { signal } = ending;
  const until = broker.clock.boottimeMs() + ms;
  try {
    while (!signal.aborted) {
      const leftMs = until - broker.clock.boottimeMs();
      const shut = shutError(broker);
      if (shut !== null) return ending.end(shut);
      if (leftMs <= 0) return ending.end(new BrokerError('deadline_exceeded', `the answer was not whole within ${Math.round(ms / 1000)} s`));
      await broker.clock.sleep(Math.min(LOOK_MS, leftMs), signal);
    }
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
}

async function pump(broker: Broker, run: Run, answer: ResourceAnswer, sink: BytesSink, signal: AbortSignal): Promise<void> {
  let why: string;
  const ended = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
  ended.catch(() => undefined); // for when nothing waits for it
  try {
    for await (const chunk of answer.chunks) {
      // Whoever does not read waits for nobody's time but its own.
      await Promise.race([sink.write(chunk), ended]);
      run.bytes += chunk.byteLength;
    }
    await run.note(answer, null);
    sink.end();
    return;
  } catch (cause) {
    const error = asBrokerError(cause);
    why = error.facts.reason ?? error.code;
    sink.cut();
    broker.log.info('fetch_cut', { profile: run.profile.name, code: error.code, why: error.message });
  }
  await run.note(answer, why).catch((cause: unknown) => broker.log.error('audit_failed', { event: 'fetch_ended' }, cause));
}

/** One fetch, as it is on record. */
class Run {
  readonly profile: Profile;
  bytes = 0;
  readonly #broker: Broker;
  readonly #ask: Ask;
  readonly #what: Readonly<Record<string, unknown>>;
  #token: string | null = null;

  constructor(broker: Broker, ask: Ask, profile: Profile, { url, method }: Wanted) {
    this.profile = profile;
    this.#broker = broker;
    this.#ask = ask;
    // Without what stands behind the question mark: people put secrets there.
    this.#what = { method, origin: url.origin, path: url.pathname.slice(0, 512) };
  }

  async begin({ grant, token: held, source }: Parameters<NonNullable<Ask['use']>['note']>[0], rule: Parameters<NonNullable<Ask['use']>['note']>[1]): Promise<void> {
    const { fingerprints } = this.#broker;
    const claimed = claimedOf((this.#ask.body as Body).claimed); // parsed by this method's schema
    this.#token = fingerprints.of(held.value);
    await this.#append('fetch_started', {
      token: this.#token, source, ...grantFacts(grant, fingerprints), generation: grant.generation, ...this.#what, scopes: held.scopes, resource: held.resource, rule: rule.name,
      ...(rule.approval === null ? {} : { approval: rule.approval }), ...(claimed === null ? {} : { claimed }),
    });
  }

  /** Nothing began where there is no token: then the refusal is on record. */
  async note(answer: ResourceAnswer | null, why: string | null): Promise<void> {
    if (this.#token === null) return;
    await this.#append('fetch_ended', { token: this.#token, ...this.#what, address: answer?.address ?? null, status: answer?.status ?? null, bytes: this.bytes, why });
  }

  #append(event: 'fetch_started' | 'fetch_ended', facts: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#broker.audit.append({ event, profile: this.profile.name, caller: this.#ask.caller, request: this.#ask.requestId, facts });
  }
}
