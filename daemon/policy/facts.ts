/** What rules look at. `null` in a fact that a rule asks for is never read as a yes; see conditions.ts. */
import type { Caller, FlowKind, Origin, Program } from '../core/domain.ts';
import type { Callers } from '../core/ports.ts';
import type { Tier } from '../core/policy-rules.ts';

/** Who asks, as the kernel tells. */
export type Subject = Pick<Caller, 'uid' | 'terminal'> & { readonly origin: Origin };

/** What is asked for. */
export type PolicyRequest = {
  readonly profile: string;
  readonly issuer: string;
  /** Null where the issuer does not say, or nobody has signed in. */
  readonly tenant: string | null;
  readonly resource: string | null;
  /** Those that the token would have: named, or else those of the sign-in. */
  readonly scopes: readonly string[];
  /** Of the sign-in that is there; null: none. */
  readonly flow: FlowKind | null;
  /** Seconds since a person signed in; null: not known. */
  readonly signedInS: number | null;
  /** As the profile says. */
  readonly tier: Tier;
  /** No token leaves by this decision: it is about a sign-in, of which the tenant is known at its end only. */
  readonly isSignIn: boolean;
};

export type Facts = { readonly subject: Subject; readonly request: PolicyRequest };

/** Until attestation fills it in: what the caller's own process tells, and nothing that it would have to guess. */
export function originOf(caller: Caller & { readonly origin?: Origin }): Origin {
  return caller.origin ?? {
    class: caller.terminal === null ? 'workload' : 'human',
    agent: null,
    program: programOf(caller),
    digest: null,
    lineage: [],
    sessionLeader: null,
    isOrphan: false,
    unit: null,
    container: false,
    remote: false,
    forwarded: false,
  };
}

function programOf({ executable, script }: Program): Program {
  return { executable, script };
}

export function subjectOf(caller: Caller): Subject {
  return { uid: caller.uid, terminal: caller.terminal, origin: originOf(caller) };
}

/** `digestOf` reads and hashes the executable of a caller's program; null where it cannot be read. */
type Digester = Pick<Callers, 'session'> & { readonly digestOf?: (caller: Caller) => Promise<string | null> };

/** With the digest of the executable where a rule asks for one; nobody else waits for it. */
export function subjectFor({ asksDigest }: { readonly asksDigest: boolean }, caller: Caller, callers: Digester): Subject | Promise<Subject> {
  const subject = subjectOf(caller);
  if (!asksDigest || subject.origin.digest !== null || callers.digestOf === undefined) return subject;
  return callers.digestOf(caller).then((digest) => ({ ...subject, origin: { ...subject.origin, digest } }));
}
