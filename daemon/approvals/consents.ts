/**
 * The consents that people gave. Memory is what holds; the disk has a copy of what may outlast the daemon, brought
 * up to date by one change after the other.
 *
 * Q4  A consent ends by its time, by whichever clock says more, with the process that it is bound to, and by its key
 *     with the program's bytes. Names of processes of another boot name nobody.
 * Q7  What is taken back is gone at once in memory, and from the disk before anybody is told that it is: where the
 *     disk refuses another copy, the whole copy goes.
 * Q8  A copy that cannot be read, or comes from a backup, opens nothing: programs are asked about again.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { ConsentKind, ConsentStore, KeptConsent, KeptConsents, ProcessName } from '../core/consents.ts';
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Tier } from '../core/policy-rules.ts';
import { instantOf, momentOf, sinceMs } from '../core/time.ts';
import type { Moment } from '../core/time.ts';
import { isWithin, wishKey } from './consent-key.ts';
import type { Wish } from './consent-key.ts';

/** How often a rule wants a person: of each request, or until a time is over. */
export type Asking = { readonly kind: 'each' } | { readonly kind: 'for'; readonly ms: number };

/** What it is there after: the end of the daemon, or also that of the machine's; null: it ends with the daemon. */
export type Outlasts = 'daemon' | 'reboot' | null;

export type Given = Omit<KeptConsent, 'kind' | 'ageMs'> & {
  /** One request more, and it is used up. */
  readonly isOnce: boolean;
  /** Its key has the bytes that run: without them a changed program would not be noticed later. */
  readonly isOfBytes: boolean;
};

export type Active = Given & { readonly leftMs: number; readonly outlasts: Outlasts };

export type Wanted = Wish & { readonly asker: Caller; readonly rule: string; readonly asking: Asking; readonly tier: Tier };

export type ConsentsDeps = {
  readonly clock: Pick<Clock, 'now' | 'boottimeMs' | 'bootId' | 'sleep'>;
  readonly log: Log;
  readonly store: ConsentStore;
  readonly isRunning: (process: ProcessName) => boolean;
  /** What the name means by now; null: nothing. */
  readonly kindOf: (profile: ProfileName) => ConsentKind | null;
};

/** Its age was `agedMs` at `since`, a moment of this boot. */
type Held = { readonly consent: Given; readonly kind: ConsentKind | null; readonly agedMs: number; readonly since: Moment };
type Which = (consent: Pick<KeptConsent, 'id' | 'profile'>) => boolean;

const MAX = 512;
/**
 * The copy says what time it was. A clock that is set back while the machine is off is found out where it then tells
 * less than that; after a crash it may win so much.
 */
const TELL_TIME_MS = 3_600_000;

const LOST = {
  vault_corrupt: 'the consents that were kept cannot be opened, and were set aside',
  file_too_new: 'the consents that were kept are of a newer version',
  rolled_back: 'the consents that were kept are not the last ones: they come from a backup, or were being ended',
} as const;

export class Consents {
  readonly #deps: ConsentsDeps;
  readonly #held = new Map<string, Held>();
  /** For the requests that are under way by them. */
  readonly #takenBack = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();
  #isRead = false;
  /** What was taken back before the copy was read. */
  #endedUnread: Which[] = [];
  /** Ids in the copy. */
  #stored: ReadonlySet<string> = new Set();
  /** What the copy holds is not known. */
  #hasUnknown = false;
  /** A copy was removed unread: the vault was not open, and raised no floor above it. */
  #isEndedBlindly = false;
  #lost: string | null = null;
  #unkept: string | null = null;

  constructor(deps: ConsentsDeps) {
    this.#deps = deps;
  }

  /** Its id, where one was given that is enough. */
  find(program: string, wanted: Wanted): string | null {
    const wish = wishKey(wanted);
    for (const [id, held] of this.#held) {
      const { consent } = held;
      if (consent.program !== program || wishKey(consent) !== wish || !isWithin(consent, wanted.asker) || !this.#isEnough(held, wanted)) continue;
      if (consent.isOnce) this.#held.delete(id);
      return id;
    }
    return null;
  }

  /** It holds when this returns; resolves when it is kept as well as it can be. Never rejects. */
  async add(consent: Given): Promise<Outlasts> {
    if (this.#held.size >= MAX) this.#held.delete([...this.#held.keys()][0] ?? '');
    this.#held.set(consent.id, { consent, kind: this.#deps.kindOf(consent.profile), agedMs: 0, since: this.#now() });
    if (consent.isOnce || !consent.isOfBytes) return null;
    await this.#keep();
    return this.#outlasts(consent);
  }

  /** Q7. Rejects where the disk keeps what was taken back; whether anybody listens or not. */
  end(which: Which): Promise<void> {
    for (const [id, { consent }] of this.#held) if (which(consent)) this.#takeBack(id);
    if (!this.#isRead) this.#endedUnread.push(which);
    const ended = this.#inTurn(() => this.#forget().catch((cause: unknown) => {
      this.#deps.log.error('consents_not_removed', {}, cause);
      if (!(cause instanceof BrokerError)) throw cause;
      throw new BrokerError(cause.code, `consents have ended, and would be back after the next start of the daemon, since the disk keeps them: ${cause.message}`, { ...cause.facts, cause });
    }));
    ended.catch(() => undefined); // for who does not wait
    return ended;
  }

  has(id: string): boolean {
    return this.#held.has(id);
  }

  /** Whether somebody who was let through by it has to ask anew, as long as nothing left. */
  wasTakenBack(id: string): boolean {
    return this.#takenBack.has(id);
  }

  list(): readonly Active[] {
    for (const [id, { consent }] of this.#held) if (!this.#isHeld(consent)) this.#held.delete(id);
    this.sweep();
    return [...this.#held.values()].map((held) => ({ ...held.consent, leftMs: held.consent.lifeMs - this.#ageMs(held), outlasts: this.#outlasts(held.consent) }));
  }

  #takeBack(id: string): void {
    const [oldest] = this.#takenBack;
    if (this.#takenBack.size >= MAX && oldest !== undefined) this.#takenBack.delete(oldest);
    this.#takenBack.add(id);
    this.#held.delete(id);
  }

  sweep(): void {
    for (const [id, held] of this.#held) if (this.#ageMs(held) >= held.consent.lifeMs) this.#held.delete(id);
  }

  /** What is wrong with the copy, for people. */
  warnings(): readonly string[] {
    return [this.#lost, this.#unkept].filter((each) => each !== null);
  }

  /** Takes up what an earlier run kept, once the vault is open. Never rejects: without it people are asked again. */
  async load(): Promise<void> {
    if (!this.#isRead || this.#isEndedBlindly) await this.#keep(true);
  }

  /** Of what is kept, how old it is by now. Never rejects. */
  async tellTime(): Promise<void> {
    if (this.#isRead) await this.#keep();
  }

  /** Until the signal ends, by which the daemon stops. */
  async tellTimeHourly(signal: AbortSignal): Promise<void> {
    while (await this.#deps.clock.sleep(TELL_TIME_MS, signal).then(() => true, () => false)) await this.tellTime();
  }

  /** Brings the copy up to date, as well as the disk lets it. */
  async #keep(isOpen = false): Promise<void> {
    try {
      await this.#inTurn(async () => {
        await this.#read();
        if (isOpen && this.#isEndedBlindly) await this.#remove();
        if (isOpen) this.#isEndedBlindly = false;
        await this.#write(this.#keepable());
      });
      this.#unkept = null;
    } catch (cause) {
      this.#noteUnkept(cause);
    }
  }

  async #forget(): Promise<void> {
    const isStale = !this.#isRead || this.#hasUnknown || [...this.#stored].some((id) => !this.#held.has(id));
    if (!isStale) return;
    const consents = this.#keepable();
    // What is in a copy that was not read is not known: it goes as a whole.
    this.#isEndedBlindly ||= !this.#isRead;
    if (!this.#isRead || consents.length === 0) return this.#remove();
    try {
      await this.#write(consents);
    } catch (cause) {
      this.#noteUnkept(cause);
      // That takes no space and no key.
      await this.#remove();
    }
  }

  #keepable(): readonly KeptConsent[] {
    this.sweep();
    return [...this.#held.values()].flatMap((held): KeptConsent[] => {
      const { isOnce, isOfBytes, ...consent } = held.consent;
      return isOnce || !isOfBytes || held.kind === null || !this.#isHeld(consent) ? [] : [{ ...consent, kind: held.kind, ageMs: this.#ageMs(held) }];
    });
  }

  async #write(consents: readonly KeptConsent[]): Promise<void> {
    if (consents.length === 0) return this.#stored.size > 0 ? this.#remove() : undefined;
    this.#hasUnknown = true; // until the disk has said that it has this
    const isKept = await this.#deps.store.write({ at: this.#now(), consents });
    this.#stored = new Set(isKept ? consents.map(({ id }) => id) : []);
    this.#hasUnknown = false;
    return undefined;
  }

  async #remove(): Promise<void> {
    await this.#deps.store.remove();
    this.#stored = new Set();
    this.#hasUnknown = false;
    this.#isRead = true;
    this.#endedUnread = [];
  }

  async #read(): Promise<void> {
    if (this.#isRead) return;
    const found = await this.#deps.store.read();
    this.#isRead = true;
    if (found.kind === 'kept') this.#takeUp(found.kept);
    if (found.kind === 'lost') {
      this.#hasUnknown = found.why === 'file_too_new';
      this.#lost = `${found.why}: ${LOST[found.why]}; what was agreed to before is asked again`;
      this.#deps.log.warn('consents_lost', { code: found.why });
    }
    this.#endedUnread = [];
  }

  /** Those who hold it were told apart by this boot's numbers, and the age is by the clock that says more. */
  #takeUp({ at, consents }: KeptConsents): void {
    const { clock, kindOf, log } = this.#deps;
    const now = instantOf(clock);
    const passedMs = sinceMs(at, now);
    this.#stored = new Set(consents.map(({ id }) => id));
    const left = consents.filter((consent) => {
      const isOfThisBoot = consent.holder === null || at.boot?.bootId === now.bootId;
      return isOfThisBoot && consent.ageMs + passedMs < consent.lifeMs && kindOf(consent.profile) === consent.kind && !this.#endedUnread.some((which) => which(consent)) && this.#isHeld(consent);
    });
    // Those that were given while it was read are the newer ones.
    const newer = [...this.#held];
    this.#held.clear();
    for (const { ageMs, kind, ...consent } of left) this.#held.set(consent.id, { consent: { ...consent, isOnce: false, isOfBytes: true }, kind, agedMs: ageMs + passedMs, since: momentOf(now) });
    for (const [id, held] of newer) this.#held.set(id, held);
    log.info('consents_taken_up', { held: left.length, ended: consents.length - left.length });
  }

  /** A yes to what one rule asked is none to what another asks, nor to one that asks more often by now. */
  #isEnough(held: Held, { rule, asking, tier }: Wanted): boolean {
    const { consent } = held;
    const ageMs = this.#ageMs(held);
    if (ageMs >= consent.lifeMs || (asking.kind === 'for' && ageMs >= asking.ms)) return false;
    if (consent.isStanding) return tier !== 'privileged' && asking.kind === 'for';
    return consent.rule === rule && (tier !== 'privileged' || consent.tier === 'privileged') && (asking.kind === 'for' || consent.isOnce);
  }

  #isHeld({ holder }: Pick<KeptConsent, 'holder'>): boolean {
    return holder === null || this.#deps.isRunning(holder);
  }

  #outlasts({ id, binding }: Given): Outlasts {
    if (!this.#stored.has(id)) return null;
    return binding === 'program' ? 'reboot' : 'daemon';
  }

  #ageMs({ agedMs, since }: Held): number {
    return agedMs + sinceMs(since, instantOf(this.#deps.clock));
  }

  #now(): Moment {
    return momentOf(instantOf(this.#deps.clock));
  }

  #noteUnkept(cause: unknown): void {
    const isOurs = cause instanceof BrokerError;
    const code = isOurs ? cause.code : 'internal';
    // Of a vault that is not open nothing is kept yet: it is taken up when it is.
    if (this.#held.size === 0 && (code === 'vault_locked' || code === 'vault_unavailable')) return;
    if (this.#unkept === null) this.#deps.log.error('consents_not_kept', { code }, cause);
    this.#unkept = `${code}: consents end with the daemon, since they cannot be kept: ${isOurs ? cause.message : 'the log says why'}`;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => null); // its failure belongs to its own caller
    return mine;
  }
}
