/**
 * Questions that a person has to answer before a token is given, and the consents that were given. Pending ones
 * are bounded and end by time; the default is no.
 *
 * Q1  Five hundred requests for the same thing are one question.
 * Q2  A question outlives its askers: who gave up and comes again finds the answer.
 * Q3  A no holds for a while, so that asking again and again gets nobody tired.
 * Q4  Consents live in memory: they end with the daemon, at lock, panic and logout.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { Caller, Program } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Tier } from '../core/policy-rules.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import { bindingKey, programKey, programLabel, wishKey } from './consent-key.ts';
import type { Binding, Wish } from './consent-key.ts';
import { whyNotApprove, whyNotDisplay } from './may-approve.ts';

/** How often a rule wants a person: of each request, or until a time is over. */
export type Asking = { readonly kind: 'each' } | { readonly kind: 'for'; readonly ms: number };

export type Question = Wish & {
  readonly asker: Caller;
  readonly rule: string;
  readonly asking: Asking;
  /** Of what is privileged a yes needs the approval PIN, which whoever passes the answer on has proved. */
  readonly tier: Tier;
  /** What the asker says of itself. */
  readonly claimed: { readonly name?: string; readonly reason?: string } | null;
};

export type Pending = Question & { readonly id: string; readonly askedAt: number; readonly askedAtMs: number; readonly expiresAtMs: number };
export type Active = Wish & {
  readonly id: string; readonly label: string; readonly binding: Binding; readonly rule: string; readonly givenBy: string;
  /** Null: one request more, and it is used up. */
  readonly untilMs: number | null;
};

/** Where the answer is given: at a terminal, or in a dialog that this process shows. */
export type Channel = 'terminal' | 'dialog';

export type Verdict = { readonly allow: false } | { readonly allow: true; readonly binding: Binding; readonly ms: number | null };

export type ApprovalsDeps = {
  readonly clock: Pick<Clock, 'now' | 'boottimeMs' | 'sleep'>;
  readonly random: Pick<Random, 'token'>;
  readonly log: Log;
  /** Names the bytes of the asker's program, and of its script; null where they cannot be read. */
  readonly digestOf: (asker: Caller) => Promise<string | null>;
  readonly onAsked: (pending: Pending) => void;
  /** It was answered, taken back, or nobody did in time. */
  readonly onEnded: (pending: Pending) => void;
};

/** Of a consent that was given before any rule asked. */
const ANY_RULE = 'any';
const PENDING_MAX = 64;
const PENDING_OF_ONE_PROGRAM = 8;
const ACTIVE_MAX = 512;
const TAKEN_BACK_KEPT = 512;
const QUESTION_MS = 300_000;
/** A consent that nobody remembers is none. */
const STANDING_MS = 30 * 86_400_000;
/** After a no, the same question is answered by it. */
const NO_HOLDS_MS = 60_000;
/** An answer that came when nobody waited any more is for the one who comes again within this time. */
const LATE_MS = 120_000;

type Outcome = 'yes' | 'no' | 'nobody answered';
/** `program`: with its bytes. `name`, `refusal`: whatever those are. */
type Open = { readonly pending: Pending; readonly program: string; readonly name: string; readonly refusal: string; readonly answered: Promise<Outcome>; readonly answer: (outcome: Outcome) => void; waiters: number };
type Consent = { readonly active: Active; readonly isStanding: boolean; readonly program: string; readonly wish: string; readonly bound: string; readonly givenAtMs: number; readonly expiresAtMs: number };

export class Approvals {
  readonly #deps: ApprovalsDeps;
  readonly #open = new Map<string, Open>();
  readonly #consents = new Map<string, Consent>();
  readonly #refused = new Map<string, number>();
  /** Those that a person revoked, for the requests that are under way by them. */
  readonly #takenBack = new Set<string>();

  constructor(deps: ApprovalsDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves to the id of the consent where a person agrees, or has agreed.
   * @param waitMs - how long an answer is waited for; after that the question stays open
   * @throws BrokerError approval_denied; approval_required, which names the question; the signal's reason
   */
  async admit(question: Question, waitMs: number, signal: AbortSignal): Promise<string> {
    const { origin } = question.asker;
    const program = programKey(origin.program, origin.agent, await this.#deps.digestOf(question.asker));
    // Whatever bytes it has by now: a no would else hold until the next edit of a script, or the next process.
    const name = programKey(origin.program, origin.agent, null);
    this.#sweep();
    const given = this.#find(program, question);
    if (given !== null) return given;
    // A rule that came since asks anew.
    const wished = `${question.rule}/${question.asking.kind}/${wishKey(question)}/${bindingKey('session', question.asker) ?? bindingKey('run', question.asker) ?? ''}`;
    const key = `${program}/${wished}`;
    if ((this.#refused.get(`${name}/${wished}`) ?? 0) > this.#now()) throw new BrokerError('approval_denied', 'a person said no to this a moment ago');
    const open = this.#open.get(key) ?? this.#ask({ key, refusal: `${name}/${wished}`, program, name }, question);
    open.waiters += 1;
    try {
      const outcome = await this.#within(waitMs, open.answered, signal);
      if (outcome === 'no') throw new BrokerError('approval_denied', 'a person said no');
      if (outcome !== 'yes') throw this.#required(open.pending);
      return open.pending.id;
    } finally {
      open.waiters -= 1;
    }
  }

  pending(): readonly Pending[] {
    this.#sweep();
    return [...this.#open.values()].map(({ pending }) => pending);
  }

  active(): readonly Active[] {
    this.#sweep();
    return [...this.#consents.values()].map(({ active }) => active);
  }

  /** The question, where this caller may say yes to it. Throws as answer(). */
  approvable(id: string, answerer: Caller, channel: Channel): Pending {
    const [, { pending }] = this.#named(id);
    const whyNot = channel === 'terminal' ? whyNotApprove(answerer, pending.asker, pending.askedAtMs) : whyNotDisplay(answerer, pending.asker, pending.askedAtMs);
    if (whyNot !== null) throw new BrokerError('approval_refused', `this process may not approve: it ${whyNot}`);
    return pending;
  }

  /** Throws not_found; approval_refused where this caller may not answer. */
  answer(id: string, answerer: Caller, verdict: Verdict, channel: Channel = 'terminal'): Pending {
    const [key, open] = this.#named(id);
    // Anybody who could have asked may say no.
    if (verdict.allow) this.approvable(id, answerer, channel);
    if (verdict.allow) this.#remember(open, channel === 'terminal' ? answerer.label : `a dialog of ${answerer.label}`, verdict);
    else this.#refused.set(open.refusal, this.#now() + NO_HOLDS_MS);
    this.#end(key, open, verdict.allow ? 'yes' : 'no');
    return open.pending;
  }

  /**
   * A person's word for a program before it asks: for what rules ask about once, or for a time, and never for what is
   * privileged. Whoever passes it on has proved the approval PIN, since no question tells whose terminal was there first.
   */
  grant({ executable, script, digest }: Program & { readonly digest: string }, wish: Wish, givenBy: string, ms: number | null): Active {
    const now = this.#now();
    const expiresAtMs = now + Math.min(ms ?? STANDING_MS, STANDING_MS);
    const label = [executable, script].filter((path) => path !== null).join(' ');
    const active: Active = { ...wish, id: this.#newId(), label, binding: 'program', rule: ANY_RULE, givenBy, untilMs: expiresAtMs };
    this.#keep({ active, isStanding: true, program: programKey({ executable, script }, null, digest), wish: wishKey(wish), bound: 'anywhere', givenAtMs: now, expiresAtMs });
    return active;
  }

  /** False where there is no such consent. */
  revoke(id: string): boolean {
    if (!this.#consents.delete(id)) return false;
    const [oldest] = this.#takenBack;
    if (this.#takenBack.size >= TAKEN_BACK_KEPT && oldest !== undefined) this.#takenBack.delete(oldest);
    this.#takenBack.add(id);
    return true;
  }

  /** Whether somebody who was let through by it has to ask anew, as long as nothing left. */
  wasTakenBack(id: string): boolean {
    return this.#takenBack.has(id);
  }

  /** Takes all consents back; what is asked stays asked. @returns their ids */
  revokeAll(): readonly string[] {
    const ids = this.active().map(({ id }) => id);
    for (const id of ids) this.revoke(id);
    return ids;
  }

  /** Everything of a profile, or all there is: at logout, lock and panic. Who waits is told no. */
  forget(profile: ProfileName | null): void {
    for (const [id, { active }] of this.#consents) if (profile === null || active.profile === profile) this.#consents.delete(id);
    for (const [key, open] of this.#open) {
      if (profile !== null && open.pending.profile !== profile) continue;
      this.#end(key, open, 'no');
    }
  }

  #named(id: string): readonly [string, Open] {
    this.#sweep();
    const found = [...this.#open].find(([, { pending }]) => pending.id === id);
    if (found === undefined) throw new BrokerError('not_found', 'no question of this id is open', { hint: 'Run: valetkey approvals' });
    return found;
  }

  #end(key: string, open: Open, outcome: Outcome): void {
    this.#open.delete(key);
    open.answer(outcome);
    this.#deps.onEnded(open.pending);
  }

  #ask({ key, ...names }: { readonly key: string } & Pick<Open, 'refusal' | 'program' | 'name'>, question: Question): Open {
    const same = [...this.#open.values()].filter((open) => open.name === names.name).length;
    if (this.#open.size >= PENDING_MAX || same >= PENDING_OF_ONE_PROGRAM) {
      throw new BrokerError('approval_required', 'too many questions wait for a person already');
    }
    const now = this.#now();
    const pending: Pending = { ...question, id: this.#newId(), askedAt: this.#deps.clock.now(), askedAtMs: now, expiresAtMs: now + QUESTION_MS };
    let answer: Open['answer'] = () => undefined;
    const answered = new Promise<Outcome>((resolve) => {
      answer = resolve;
    });
    const open: Open = { pending, ...names, answered, answer, waiters: 0 };
    this.#open.set(key, open);
    this.#deps.log.info('approval_asked', { id: pending.id, profile: pending.profile, by: programLabel(pending.asker), rule: pending.rule });
    this.#deps.onAsked(pending);
    return open;
  }

  #find(program: string, question: Question): string | null {
    const wish = wishKey(question);
    for (const [id, consent] of this.#consents) {
      if (consent.program !== program || consent.wish !== wish || bindingKey(consent.active.binding, question.asker) !== consent.bound) continue;
      if (!isEnough(consent, question, this.#now())) continue;
      if (consent.active.untilMs === null) this.#consents.delete(id);
      return id;
    }
    return null;
  }

  #remember({ pending, program, waiters }: Open, givenBy: string, { binding, ms }: Verdict & { readonly allow: true }): void {
    const isEach = pending.asking.kind === 'each';
    // Those who wait have it; what each request is asked about is not remembered beyond.
    if (isEach && waiters > 0) return;
    const bound = bindingKey(binding, pending.asker);
    if (bound === null) throw new BrokerError('bad_request', `the program has no ${binding} that can be told`, { hint: 'Give: --exe-only or --this-run' });
    const most = pending.asking.kind === 'each' ? LATE_MS : pending.asking.ms;
    const expiresAtMs = this.#now() + Math.min(ms ?? most, most);
    const { id, asker, rule, profile, resource, scopes } = pending;
    this.#keep({
      isStanding: false, program, wish: wishKey(pending), bound, givenAtMs: this.#now(), expiresAtMs,
      active: { id, profile, resource, scopes, label: programLabel(asker), binding, rule, givenBy, untilMs: isEach ? null : expiresAtMs },
    });
  }

  #keep(consent: Consent): void {
    if (this.#consents.size >= ACTIVE_MAX) this.#consents.delete([...this.#consents.keys()][0] ?? '');
    this.#consents.set(consent.active.id, consent);
  }

  #sweep(): void {
    const now = this.#now();
    for (const [key, open] of this.#open) {
      if (open.pending.expiresAtMs > now) continue;
      this.#end(key, open, 'nobody answered');
    }
    for (const [id, { expiresAtMs }] of this.#consents) if (expiresAtMs <= now) this.#consents.delete(id);
    for (const [key, untilMs] of this.#refused) if (untilMs <= now) this.#refused.delete(key);
  }

  /** People type it behind a verb, where a dash would begin an option. */
  #newId(): string {
    return this.#deps.random.token(6).replace(/^-/, 'A');
  }

  #required({ id, rule, profile }: Pending): BrokerError {
    return new BrokerError('approval_required', `a person has to agree that this program uses ${profile} (rule ${rule})`, {
      hint: `Run in another terminal: valetkey approve ${id}`, reason: rule, retryAfterS: 5,
    });
  }

  /** Rejects with the signal's reason. */
  async #within(ms: number, answered: Promise<Outcome>, signal: AbortSignal): Promise<Outcome> {
    const done = new AbortController();
    const leave = (): void => done.abort(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([answered, this.#deps.clock.sleep(ms, done.signal).then((): Outcome => 'nobody answered')]);
    } finally {
      signal.removeEventListener('abort', leave);
      done.abort();
    }
  }

  #now(): number {
    return this.#deps.clock.boottimeMs();
  }
}

/** A yes to what one rule asked is none to what another asks, nor to one that asks more often by now. */
function isEnough({ active, isStanding, givenAtMs }: Consent, { rule, asking, tier }: Question, nowMs: number): boolean {
  if (isStanding) return tier !== 'privileged' && asking.kind === 'for' && nowMs < givenAtMs + asking.ms;
  if (active.rule !== rule) return false;
  return asking.kind === 'each' ? active.untilMs === null : nowMs < givenAtMs + asking.ms;
}
