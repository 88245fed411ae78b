/**
 * Asking, signing out, signing in anew, locking, and the issuer's answers, in any order, against a model of an
 * issuer that rotates and ends the family when a consumed refresh token comes again. After each history the
 * vault, the memory and the issuer must agree, and nothing that lives at the issuer may be forgotten here.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IssuerOutcome } from '../../../../daemon/core/ports.ts';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import { signOut } from '../../../../daemon/tokens/sign-out.ts';
import { instant, profileName, someGrant, someProfile, someToken, someTraits } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import type { EngineRig } from '../../../support/engine-rig.ts';
import { settle } from '../../../support/fake-clock.ts';
import { refusal, tokenSet } from '../../../support/fakes.ts';

const work = profileName('work');

/** Families of refresh tokens, as the issuer sees them. */
class RotatingIssuer {
  alarms = 0;
  readonly #current = new Map<number, string>();
  readonly #consumed = new Set<string>();
  #families = 0;
  #minted = 0;
  /** Answers that are on their way, to be let through one by one. */
  readonly held: (() => void)[] = [];
  lost = 0;

  signIn(): { family: number; token: string } {
    const family = (this.#families += 1);
    return { family, token: this.#mint(family) };
  }
  #mint(family: number): string {
    const token = `rt-${family}-${(this.#minted += 1)}-EXAMPLE`;
    this.#current.set(family, token);
    return token;
  }
  /** The issuer acts when the request comes; its answer is held. */
  refresh(token: string, how: Answer): Promise<IssuerOutcome> {
    const answer = this.#act(token, how);
    return new Promise((resolve) => {
      this.held.push(() => resolve(answer));
    });
  }
  #act(token: string, how: Answer): IssuerOutcome {
    const family = Number(token.split('-')[1]);
    if (how === 'unreached') return { kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'refused', timedOut: false };
    if (how === '503') return { kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'server', cause: 'http_503', timedOut: false };
    if (this.#consumed.has(token)) {
      this.alarms += 1;
      this.#current.delete(family);
    }
    if (this.#current.get(family) !== token) return refusal('invalid_grant');
    this.#consumed.add(token);
    const next = this.#mint(family);
    if (how === 'good') return { kind: 'tokens', tokens: tokenSet(this.#minted, { accessToken: new Secret(`at-${next}`), refreshToken: new Secret(next), expiresInS: 600 }) };
    this.lost += 1;
    return { kind: 'transient', answerLost: true, retryAfterMs: null, reach: 'network', cause: 'reset', timedOut: false };
  }
  /** One that was consumed before says nothing to this issuer any more: only the newest ends the family. */
  revoke(token: string): void {
    const family = Number(token.split('-')[1]);
    if (this.#current.get(family) === token) this.#current.delete(family);
  }
  livingFamilies(): readonly number[] {
    return [...this.#current.keys()];
  }
  currentOf(family: number): string | null {
    return this.#current.get(family) ?? null;
  }
}

type Answer = 'good' | 'lost' | 'unreached' | '503';
type Step = { readonly do: 'answer' | 'logout' | 'login' | 'lock' | 'unlock' | 'wait' } | { readonly do: 'ask'; readonly how: Answer };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Answer>('good', 'good', 'good', 'lost', 'unreached', '503').map((how): Step => ({ do: 'ask', how })) },
  { weight: 4, arbitrary: fc.constant<Step>({ do: 'answer' }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'logout' }, { do: 'login' }, { do: 'lock' }, { do: 'unlock' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'wait' }) },
);

async function play(steps: readonly Step[]): Promise<{ issuer: RotatingIssuer; engine: EngineRig; family: number; replaced: ReadonlySet<number> }> {
  const profile = someProfile({ traits: someTraits({ refreshAt: 1 }) });
  const engine = await engineRig([], [profile]);
  const { book, source, revocations, vault, gate, clock } = engine;
  const issuer = new RotatingIssuer();
  let family = 0;
  const replaced = new Set<number>();
  let how: Answer = 'good';
  engine.issuer.refresh = async (_client, _profile, token, _want, _previous, onConnected) => {
    const asked = how;
    await onConnected();
    return issuer.refresh(token.reveal(), asked);
  };
  engine.issuer.revoke = async (_client, token) => {
    issuer.revoke(token.reveal());
    return { kind: 'revoked' };
  };
  const signIn = async (): Promise<void> => {
    // A new sign-in revokes nothing of the one before it (docs/decisions/0009).
    if (book.get(work)?.state.kind === 'active') replaced.add(family);
    const made = issuer.signIn();
    family = made.family;
    const at = instant(clock.boottimeMs() - instant().boottimeMs);
    const token = someToken({ value: new Secret(`at-${made.token}`), obtainedAt: at.now, expiresAt: at.now, life: null });
    await book.commit(someGrant({ generation: book.nextGeneration(work), rotates: true, state: { kind: 'active', refreshToken: new Secret(made.token), tokens: [token] } }), null);
    source.forget(work);
  };
  const answer = async (): Promise<void> => {
    issuer.held.shift()?.();
    await settle();
  };
  await signIn();
  for (const { ...now } of steps) {
    if (now.do === 'ask') {
      ({ how } = now);
      engine.get(profile).catch(() => null); // what callers are told is judged elsewhere
    } else if (now.do === 'answer') await answer();
    else if (now.do === 'wait') await clock.advance(61_000 * 10);
    else if (now.do === 'lock') {
      gate.isLocked = true;
      while (issuer.held.length > 0) await answer();
      await source.settle(new BrokerError('vault_locked', 'the user locked the broker'));
      await book.flush();
      vault.lock();
      book.forget();
    } else if (now.do === 'unlock') {
      await vault.unlock();
      gate.isLocked = false;
      await book.load();
    } else if (!gate.isLocked) {
      // Neither waits for the flight; the flight must not undo what they did.
      if (now.do === 'logout') await signOut({ book, revocations }, work, profile);
      else await signIn();
    }
    await settle();
  }
  while (issuer.held.length > 0) await answer();
  await source.settle(new BrokerError('shutting_down', 'the test is over'));
  await vault.unlock();
  await book.load();
  await settle();
  return { issuer, engine, family, replaced };
}

describe('logout, sign-in, lock and a refresh in flight', () => {
  it('[TK-04] in all orders: no consumed token is sent, no stale write, and the issuer and the vault agree', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 24 }), async (steps) => {
      const { issuer, engine, family, replaced } = await play(steps);
      const { book, vault } = engine;
      engine.stop.abort();
      expect(issuer.alarms, 'a consumed refresh token was sent').toBe(0);
      const grant = book.get(work);
      // Whatever lives there is held here, or its answer was lost on the way.
      if (issuer.lost === 0) expect(issuer.livingFamilies().filter((each) => !replaced.has(each))).toEqual(grant === null ? [] : [family]);
      const stored = vault.stored.get(work)?.grant ?? null;
      expect(stored?.generation ?? null).toBe(grant?.generation ?? null);
      if (grant?.state.kind === 'active') {
        // What is held is the newest sign-in's, and it is the token that the issuer would take.
        expect(grant.state.refreshToken?.reveal()).toBe(issuer.currentOf(family));
        expect(stored?.state.kind === 'active' && stored.state.refreshToken?.reveal()).toBe(issuer.currentOf(family));
      } else if (grant !== null) {
        expect(issuer.lost, 'parked though no answer was lost').toBeGreaterThan(0);
      }
    }), { numRuns: 200 });
  }, 60_000);

  it('a sign-in that a logout ended does not live on at the issuer, whatever was on the wire', async () => {
    const { issuer, engine } = await play([{ do: 'ask', how: 'good' }, { do: 'logout' }, { do: 'answer' }]);
    engine.stop.abort();
    expect(issuer.livingFamilies()).toEqual([]);
    expect(engine.book.get(work)).toBeNull();
  });
});
