/** What rules look at. `null` in a fact that a rule asks for is never read as a yes; see conditions.ts. */
import type { Caller } from '../core/domain.ts';
import type { Callers } from '../core/ports.ts';
import type { Finding, Tier, TokenFlow, TokenUse } from '../core/policy-rules.ts';

/** Who asks, as the kernel tells. */
export type Subject = Pick<Caller, 'uid' | 'terminal' | 'origin'>;

/** What is asked for. */
export type PolicyRequest = {
  readonly profile: string;
  readonly issuer: string;
  /** Null where the issuer does not say, or nobody has signed in. */
  readonly tenant: string | null;
  readonly resource: string | null;
  /** Those that the token would have: named, or else those of the sign-in. */
  readonly scopes: readonly string[];
  /** Of the sign-in that is there, or that of workloads; null: none. */
  readonly flow: TokenFlow | null;
  /** A sign-in counts as for the token. */
  readonly use: TokenUse;
  /** What was found of this program or profile within the last hour; empty where no rule asks. */
  readonly found: readonly Finding[];
  /** As logind tells; null: nobody does, or no rule asks. */
  readonly screenLocked: boolean | null;
  /** Seconds since a person signed in; null: not known. */
  readonly signedInS: number | null;
  /** As the profile says. */
  readonly tier: Tier;
  /** No token leaves by this decision: it is about a sign-in, of which the tenant is known at its end only. */
  readonly isSignIn: boolean;
};

export type Facts = { readonly subject: Subject; readonly request: PolicyRequest };

/** With the digest of the executable where a rule asks for one; nobody else waits for it. */
export function subjectFor({ asksDigest }: { readonly asksDigest: boolean }, caller: Caller, callers: Pick<Callers, 'digestOf'>): Subject | Promise<Subject> {
  if (!asksDigest || caller.origin.digest !== null) return caller;
  return callers.digestOf(caller).then((digest) => ({ ...caller, origin: { ...caller.origin, digest } }));
}
