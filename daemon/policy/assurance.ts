/**
 * What the words of an issuer are worth, and how long a sign-in of each tier is good for. Pure tables: RFC 8176 for
 * the methods, OpenID EAP ACR for what withstands phishing, SP 800-63B-4 for the limits of a session.
 */
import { AMR_VALUES } from '../core/policy-rules.ts';
import type { PolicyDocuments, Tier } from '../core/policy-rules.ts';

/** OpenID Extended Authentication Profile, section 4: phishing-resistant, and with a key in hardware. */
const PHISHING_RESISTANT: readonly string[] = ['phr', 'phrh'];

export type Proofs = {
  readonly amr: readonly string[];
  /** Classes that count as phishing-resistant. */
  readonly phishingResistant: readonly string[];
};

export function proofsOf({ admin }: PolicyDocuments): Proofs {
  return {
    amr: admin?.assurance.amr ?? AMR_VALUES,
    phishingResistant: [...PHISHING_RESISTANT, ...(admin?.assurance.phishingResistantAcr ?? [])],
  };
}

export type SessionLimits = {
  /** Since the sign-in, whatever happened since. */
  readonly maxSessionS: number | null;
  /** Since a person last took part. */
  readonly maxIdleS: number | null;
};

/** SP 800-63B-4, sections 2.1.3, 2.2.3 and 2.3.3. */
export const ASSURANCE: Readonly<Record<'aal1' | 'aal2' | 'aal3', SessionLimits>> = {
  aal1: { maxSessionS: 2_592_000, maxIdleS: null },
  aal2: { maxSessionS: 86_400, maxIdleS: 3_600 },
  aal3: { maxSessionS: 43_200, maxIdleS: 900 },
};

export const SESSION_OF: Readonly<Record<Tier, SessionLimits>> = {
  low: ASSURANCE.aal1, normal: ASSURANCE.aal1, high: ASSURANCE.aal2, privileged: ASSURANCE.aal3,
};

const least = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));

/** Of a tier, and of the rules that decided: whichever is shorter. */
export function sessionLimits(tier: Tier, rules: SessionLimits | null): SessionLimits {
  const own = SESSION_OF[tier];
  return rules === null ? own : { maxSessionS: least(own.maxSessionS, rules.maxSessionS), maxIdleS: least(own.maxIdleS, rules.maxIdleS) };
}
