/**
 * Questions that a person has to answer before a token is given. They are bounded, live in memory and end by time;
 * the default is no. What was agreed to is kept by consents.ts.
 *
 * Q1  Five hundred requests for the same thing are one question.
 * Q2  A question outlives its askers: who gave up and comes again finds the answer.
 * Q3  A no holds for a while, so that asking again and again gets nobody tired.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { ConsentBinding } from '../core/consents.ts';
import type { Caller, Program } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Tier, TokenUse } from '../core/policy-rules.ts';
import type { Random } from '../core/ports.ts';
import { fetchKey, holderOf, programKey, programLabel, wishKey } from './consent-key.ts';
import type { Wish } from './consent-key.ts';
import { Consents } from './consents.ts';
import type { Asking, ConsentsDeps, Given, Outlasts } from './consents.ts';
import { whyNotApprove, whyNotDisplay } from './may-approve.ts';

export type Question = Wish & {
  readonly asker: Caller;
  readonly rule: string;
  readonly asking: Asking;
  /** Of what is privileged a yes needs the approval PIN, which whoever passes the answer on has proved. */
  readonly tier: Tier;
  readonly use: TokenUse;
  /** What the asker says of itself. */
  readonly claimed: { readonly name?: string; readonly reason?: string } | null;
};

export type Pending = Question & { readonly id: string; readonly askedAt: number; readonly askedAtMs: number; readonly expiresAtMs: number };

/** Where the answer is given: at a terminal, or in a dialog that this process shows. */
export type Channel = 'terminal' | 'dialog';

export type Verdict = { readonly allow: false } | { readonly allow: true; readonly binding: ConsentBinding; readonly ms: number | null };

/** `kept`: what the yes outlasts; null of a no, and of what is used up at once. Never rejects. */
export type Answered = { readonly pending: Pending; readonly kept: Promise<Outlasts> };

/** `isOfFiles`: it names the bytes of the program's files, and not only the process or nothing. */
export type Bytes = { readonly key: string; readonly isOfFiles: boolean };

export type ApprovalsDeps = ConsentsDeps & {
  readonly random: Pick<Random, 'token'>;
  /** Names what runs: the bytes of the asker's program, and of its script. */
  readonly bytesOf: (asker: Caller) => Promise<Bytes>;
  readonly onAsked: (pending: Pending) => void;
  /** It was answered, taken back, or nobody did in time. */
  readonly onEnded: (pending: Pending) => void;
};

/** Of a consent that was given before any rule asked. */
const ANY_RULE = 'any';
const PENDING_MAX = 64;
const PENDING_OF_ONE_PROGRAM = 8;
const QUESTION_MS = 300_000;
/** A consent that nobody remembers is none. */
const STANDING_MS = 30 * 86_400_000;
/** After a no, the same question is answered by it. */
const NO_HOLDS_MS = 60_000;
/** An answer that came when nobody waited any more is for the one who comes again within this time. */
const LATE_MS = 120_000;

const NOT_KEPT: Promise<Outlasts> = Promise.resolve(null);

type Outcome = 'yes' | 'no' | 'nobody answered';
/** `program`: with its bytes, which `isOfBytes` says. `name`, `refusal`: whatever those are. */
type Asked = { readonly program: string; readonly isOfBytes: boolean; readonly name: string; readonly refusal: string };
type Open = Asked & { readonly pending: Pending; readonly answered: Promise<Outcome>; readonly answer: (outcome: Outcome) => void; waiters: number };

export class Approvals {
  readonly #deps: ApprovalsDeps;
  readonly consents: Consents;
  readonly #open = new Map<string, Open>();
  readonly #refused = new Map<string, number>();

  constructor(deps: ApprovalsDeps) {
    this.#deps = deps;
    this.consents = new Consents(deps);
  }

  /**
   * Resolves to the id of the consent where a person agrees, or has agreed.
   * @param waitMs - how long an answer is waited for; after that the question stays open
   * @throws BrokerError approval_denied; approval_required, which names the question; the signal's reason
   */
  async admit(question: Question, waitMs: number, signal: AbortSignal): Promise<string> {
    const { origin } = question.asker;
    const bytes = await this.#deps.bytesOf(question.asker);
    const inAll = programKey(origin.program, origin.agent, bytes.key, origin.run);
    const ofUse = question.use === 'fetch' ? fetchKey : (key: string): string => key;
    const program = ofUse(inAll);
    // Whatever bytes it has by now: a no would else hold until the next edit of a script, or the next process.
    const name = ofUse(programKey(origin.program, origin.agent, null, origin.run));
    this.#sweep();
    // Who may have the token may have what an API answers to it.
    const given = this.consents.find(program, question) ?? (program === inAll ? null : this.consents.find(inAll, question));
    if (given !== null) return given;
    // A rule that came since asks anew.
    const holder = holderOf('session', question.asker) ?? holderOf('run', question.asker);
    const wished = `${question.rule}/${question.asking.kind}/${wishKey(question)}/${holder?.pid ?? ''}/${holder?.startTime ?? ''}`;
    const [key, refusal] = [`${program}/${wished}`, `${name}/${wished}`];
    if ((this.#refused.get(refusal) ?? 0) > this.#now()) throw new BrokerError('approval_denied', 'a person said no to this a moment ago');
    const open = this.#open.get(key) ?? this.#ask(key, { program, isOfBytes: bytes.isOfFiles, name, refusal }, question);
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

  /** The question, where this caller may say yes to it. Throws as answer(). */
  approvable(id: string, answerer: Caller, channel: Channel): Pending {
    const [, { pending }] = this.#named(id);
    const whyNot = channel === 'terminal' ? whyNotApprove(answerer, pending.asker, pending.askedAtMs) : whyNotDisplay(answerer, pending.asker, pending.askedAtMs);
    if (whyNot !== null) throw new BrokerError('approval_refused', `this process may not approve: it ${whyNot}`);
    return pending;
  }

  /** It holds, or who waits is told no, when this returns. Throws not_found; approval_refused where this caller may not answer. */
  answer(id: string, answerer: Caller, verdict: Verdict, channel: Channel = 'terminal'): Answered {
    const [key, open] = this.#named(id);
    // Anybody who could have asked may say no.
    if (verdict.allow) this.approvable(id, answerer, channel);
    const kept = verdict.allow ? this.#remember(open, channel === 'terminal' ? answerer.label : `a dialog of ${answerer.label}`, verdict) : NOT_KEPT;
    if (!verdict.allow) this.#refused.set(open.refusal, this.#now() + NO_HOLDS_MS);
    this.#end(key, open, verdict.allow ? 'yes' : 'no');
    return { pending: open.pending, kept };
  }

  /**
   * A person's word for a program before it asks: for what rules ask about once, or for a time, and never for what is
   * privileged. Whoever passes it on has proved the approval PIN, since no question tells whose terminal was there first.
   */
  grant({ executable, script, digest }: Program & { readonly digest: string }, wish: Wish, givenBy: string, ms: number | null): { readonly given: Given; readonly kept: Promise<Outlasts> } {
    const lifeMs = Math.min(ms ?? STANDING_MS, STANDING_MS);
    const given = {
      ...wish, id: this.#newId(), label: [executable, script].filter((path) => path !== null).join(' '), program: programKey({ executable, script }, null, digest, null),
      binding: 'program', holder: null, rule: ANY_RULE, tier: 'normal', isStanding: true, isOnce: false, isOfBytes: true, givenBy, lifeMs,
    } as const;
    return { given, kept: this.consents.add(given) };
  }

  /** Everything of a profile, or all there is: at logout, lock and panic. Who waits is told no. Rejects where the disk keeps a consent. */
  forget(profile: ProfileName | null): Promise<void> {
    for (const [key, open] of this.#open) {
      if (profile !== null && open.pending.profile !== profile) continue;
      this.#end(key, open, 'no');
    }
    return this.consents.end((consent) => profile === null || consent.profile === profile);
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

  #ask(key: string, asked: Asked, question: Question): Open {
    const same = [...this.#open.values()].filter((open) => open.name === asked.name).length;
    if (this.#open.size >= PENDING_MAX || same >= PENDING_OF_ONE_PROGRAM) {
      throw new BrokerError('approval_required', 'too many questions wait for a person already');
    }
    const now = this.#now();
    const pending: Pending = { ...question, id: this.#newId(), askedAt: this.#deps.clock.now(), askedAtMs: now, expiresAtMs: now + QUESTION_MS };
    let answer: Open['answer'] = () => undefined;
    const answered = new Promise<Outcome>((resolve) => {
      answer = resolve;
    });
    const open: Open = { pending, ...asked, answered, answer, waiters: 0 };
    this.#open.set(key, open);
    this.#deps.log.info('approval_asked', { id: pending.id, profile: pending.profile, by: programLabel(pending.asker), rule: pending.rule });
    this.#deps.onAsked(pending);
    return open;
  }

  #remember({ pending, program, isOfBytes, waiters }: Open, givenBy: string, { binding, ms }: Verdict & { readonly allow: true }): Promise<Outlasts> {
    const isOnce = pending.asking.kind === 'each';
    // Those who wait have it; what each request is asked about is not remembered beyond.
    if (isOnce && waiters > 0) return NOT_KEPT;
    const { id, asker, rule, profile, resource, scopes, tier, use } = pending;
    const holder = binding === 'program' ? null : holderOf(binding, asker);
    if (binding !== 'program' && holder === null) throw new BrokerError('bad_request', `the program has no ${binding} that can be told`, { hint: 'Give: --exe-only or --this-run' });
    const most = pending.asking.kind === 'each' ? LATE_MS : pending.asking.ms;
    return this.consents.add({
      id, profile, resource, scopes, label: `${programLabel(asker)}${use === 'fetch' ? ', without the token' : ''}`, program, binding, holder, rule, tier, isStanding: false, isOnce, isOfBytes, givenBy, lifeMs: Math.min(ms ?? most, most),
    });
  }

  #sweep(): void {
    const now = this.#now();
    for (const [key, open] of this.#open) {
      if (open.pending.expiresAtMs > now) continue;
      this.#end(key, open, 'nobody answered');
    }
    this.consents.sweep();
    for (const [key, untilMs] of this.#refused) if (untilMs <= now) this.#refused.delete(key);
  }

  /** People type it behind a verb, where a dash would begin an option; and shells complete names that begin as names do. */
  #newId(): string {
    return this.#deps.random.token(6).replace(/^[-_]/, 'A');
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
