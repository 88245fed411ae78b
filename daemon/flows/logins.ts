/**
 * The sign-ins in progress: at most one a profile on the whole machine, one for each demand of a step-up, and
 * one for each privileged access; whoever else asks for the same joins it.
 *
 * I8  Between looking for a pending login and claiming its place there is no await.
 * I9  A PKCE login outlives the process that started it, until somebody else asks if no browser followed
 *     its link; a device login ends with its last process.
 * I10 Every login ends within its life, and its port with it.
 */
import { LOGIN_ID } from '../../shared/names.ts';
import type { EpochMs, LoginId, ProfileName } from '../../shared/names.ts';
import type { LoginView } from '../../shared/schemas.ts';
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { whyNotItself } from './consent.ts';
import type { Login } from './login.ts';
import { viewLogin } from './login-view.ts';
import type { Choice, ChooserInput } from '../policy/chooser.ts';
import { considerLogin, LOGIN_LIFE_MS, purposeFor, startLogin } from './start-login.ts';
import type { LoginAsk, StartDeps } from './login-ask.ts';

/** Ended logins are kept so long that a caller between two polls still learns the end. */
const KEPT_MS = 300_000;
const KEPT_COUNT = 64;
/** What follows a confirmation is a write to the disk. */
const CONFIRMED_MS = 10_000;
/** A browser that was started by a process that ended at once may take so long to fetch the link. */
const BROWSER_START_MS = 20_000;

export class Logins {
  readonly #deps: StartDeps;
  /** Why no more are taken. */
  #closed: BrokerError | null = null;
  /** By profile and purpose. */
  readonly #starting = new Map<string, { readonly profile: ProfileName; readonly login: Promise<Login>; readonly abort: AbortController }>();
  readonly #logins = new Map<LoginId, Login>();

  constructor(deps: StartDeps) {
    this.#deps = deps;
  }

  /** Starts a sign-in, or joins the one in progress. Resolves when there is something to show. */
  async start(ask: LoginAsk, caller: Caller): Promise<LoginView> {
    const { name } = ask.profile;
    const purpose = await purposeFor(this.#deps, ask, caller);
    if (this.#closed !== null) throw this.#closed;
    if (this.#deps.isLocked()) throw new BrokerError('vault_locked', 'the user locked the broker');
    const key = `${name} ${purpose}`;
    const missed = purpose === '' ? this.#missed(ask) : null;
    if (missed !== null) return this.#join(missed, caller);
    const pending = this.#pending(name, purpose);
    if (pending !== null && !this.#isOrphan(pending)) return this.#join(pending, caller);
    const starting = this.#starting.get(key);
    if (starting !== undefined) return this.#joinStarting(starting.login, ask, caller);
    pending?.abort.abort(new BrokerError('login_cancelled', 'the process that started the sign-in is gone'));
    const abort = new AbortController();
    const mine = startLogin({ ...this.#deps, onStarted: (login) => this.#register(login) }, ask, caller, abort.signal).finally(() => this.#starting.delete(key));
    this.#starting.set(key, { profile: name, login: mine, abort });
    const login = await mine;
    return viewLogin(login, caller, this.#deps.machine);
  }

  /** What start() would choose; nothing is started, and no issuer is asked. */
  async consider(ask: LoginAsk, caller: Caller): Promise<{ readonly input: ChooserInput; readonly choice: Choice; readonly rule: string | null }> {
    const { decision, rule } = await considerLogin(this.#deps, ask, caller);
    return { input: decision.input, choice: decision.choice, rule };
  }

  /** The pending login that start() would join, as this caller may see it. */
  async pendingFor(ask: LoginAsk, caller: Caller): Promise<LoginView | null> {
    const purpose = await purposeFor(this.#deps, ask, caller);
    const login = this.#pending(ask.profile.name, purpose);
    return login === null ? null : viewLogin(login, caller, this.#deps.machine);
  }

  /** Waits for a change of state, for `waitMs` at most, then shows the state. */
  async follow(id: string, caller: Caller, waitMs: number, signal: AbortSignal): Promise<LoginView> {
    const login = this.#find(id);
    if (!login.isOver && !login.isOwnedBy(caller)) login.joined.set(`${caller.pid}/${caller.startTime}`, caller);
    if (waitMs > 0 && login.state.kind === 'pending') await this.#change(login, waitMs, signal);
    return viewLogin(login, caller, this.#deps.machine);
  }

  /** Its starter, or any process of this user that knows its id: ending a login harms nobody. */
  cancel(id: string): void {
    const login = this.#find(id);
    if (!login.isOver) login.abort.abort(new BrokerError('login_cancelled', `the sign-in of profile ${login.facts.profile.name} was cancelled`));
  }

  /** Only the process that started it knows what it wanted. */
  async confirm(id: string, caller: Caller, accept: boolean, signal: AbortSignal): Promise<LoginView> {
    const login = this.#find(id);
    if (!login.isOwnedBy(caller)) throw new BrokerError('consent_required', 'only the process that started the sign-in may confirm the change of account');
    const whyNot = accept ? whyNotItself(caller) : null;
    if (whyNot !== null) throw new BrokerError('consent_required', `a person has to confirm the change of account, and not a program that ${whyNot}`, { hint: `Run at a terminal of your own: valetkey login ${login.facts.profile.name}` });
    if (!login.answer(accept)) throw new BrokerError('bad_request', 'this sign-in asks for no confirmation');
    await this.#change(login, CONFIRMED_MS, signal);
    return viewLogin(login, caller, this.#deps.machine);
  }

  /** The last sign-in of this profile that was completed, while it is remembered. */
  newestOf(profile: ProfileName): LoginId | null {
    return this.#newest(profile)?.facts.id ?? null;
  }

  list(): readonly Login[] {
    return [...this.#logins.values()].filter((login) => !login.isOver);
  }

  /** From now on none begins. */
  close(reason: BrokerError): void {
    this.#closed = reason;
  }

  /** No sign-in is pending or about to be. */
  get isIdle(): boolean {
    return this.#starting.size === 0 && this.list().length === 0;
  }

  /** Ends all before anything else happens. @returns how many there were */
  abortAll(reason: BrokerError): number {
    const pending = this.list();
    for (const { abort } of [...this.#starting.values(), ...pending]) abort.abort(reason);
    return this.#starting.size + pending.length;
  }

  /** Ends all, also those that are only just starting; resolves when every port is closed. */
  async stop(reason: BrokerError): Promise<void> {
    const names = new Set([...[...this.#starting.values()].map(({ profile }) => profile), ...this.list().map((login) => login.facts.profile.name)]);
    await Promise.all([...names].map((name) => this.stopOf(name, reason)));
  }

  /** Ends the sign-ins of one profile, if there are any. */
  async stopOf(profile: ProfileName, reason: BrokerError): Promise<void> {
    const starting = [...this.#starting.values()].filter((each) => each.profile === profile);
    for (const { abort } of starting) abort.abort(reason);
    // Its failure is told to whoever asked for it.
    await Promise.all(starting.map(({ login }) => login.catch(() => null)));
    const logins = this.list().filter(({ facts }) => facts.profile.name === profile);
    for (const login of logins) login.abort.abort(reason);
    await Promise.all(logins.map(({ settled }) => settled));
  }

  async #joinStarting(starting: Promise<Login>, ask: LoginAsk, caller: Caller): Promise<LoginView> {
    try {
      return this.#join(await starting, caller);
    } catch (cause) {
      // Its consent is its own: this process needs a challenge of its own.
      if (cause instanceof BrokerError && cause.code === 'consent_required') return this.start(ask, caller);
      throw cause;
    }
  }

  /** Resolves at the next change of state, or when the time or the caller's patience is over. */
  async #change(login: Login, ms: number, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const nap = this.#deps.clock.sleep(ms, AbortSignal.any([signal, done.signal])).catch(() => null); // it changed, or the caller left
    await Promise.race([login.changed, nap]);
    done.abort();
  }

  #join(login: Login, caller: Caller): LoginView {
    if (!login.isOwnedBy(caller)) login.joined.set(`${caller.pid}/${caller.startTime}`, caller);
    return viewLogin(login, caller, this.#deps.machine);
  }

  #pending(profile: ProfileName, purpose: string): Login | null {
    return this.list().find(({ facts }) => facts.profile.name === profile && facts.purpose === purpose) ?? null;
  }

  /** Completed since its asker was told to sign in, and good still: another would ask the person twice. */
  #missed({ profile: { name }, newerThan }: LoginAsk): Login | null {
    const newest = newerThan === undefined ? null : this.#newest(name);
    return newest === null || newest.facts.id === newerThan || this.#deps.book.get(name)?.state.kind !== 'active' ? null : newest;
  }

  /** They come one after another, so the order of their starts is that of their ends. */
  #newest(profile: ProfileName): Login | null {
    return [...this.#logins.values()].findLast(({ state, facts }) => state.kind === 'complete' && facts.profile.name === profile && facts.purpose === '') ?? null;
  }

  /** Nobody has its link any more, and no browser followed it: it would only block the profile until its end. */
  #isOrphan(login: Login): boolean {
    const { owner, expiresAt, flow } = login.facts;
    const isYoung = expiresAt - this.#deps.clock.now() > LOGIN_LIFE_MS - BROWSER_START_MS;
    return flow === 'authorization_code' && login.state.kind === 'pending' && !login.isUnderWay && !isYoung && !this.#deps.callers.stillSame(owner);
  }

  #find(id: string): Login {
    const login = LOGIN_ID.test(id) ? this.#logins.get(id as LoginId) : undefined;
    if (login === undefined) throw new BrokerError('login_not_found', 'there is no sign-in of this id; it may have ended a while ago');
    return login;
  }

  #register(login: Login): void {
    this.#sweep(this.#deps.clock.now());
    this.#logins.set(login.facts.id, login);
    this.#deps.onStarted(login);
  }

  #sweep(now: EpochMs): void {
    const over = [...this.#logins.values()].filter((login) => login.isOver);
    const old = over.filter((login, index) => login.facts.expiresAt + KEPT_MS < now || index < over.length - KEPT_COUNT);
    for (const login of old) this.#logins.delete(login.facts.id);
  }
}
