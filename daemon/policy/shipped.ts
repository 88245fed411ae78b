/**
 * The policy that ships, and what each tier sets. It must not drive anybody mad: programs of a login session
 * get tokens of ordinary profiles, everything else is asked about once, and what can do most harm more often.
 * docs/policy.md shows it as a file; a test holds the two equal.
 */
import { NO_ASSURANCE, NO_CEILING, NO_CONDITIONS, NO_DEMAND } from '../core/policy-rules.ts';
import type { Ceiling, PolicyDocument, Tier } from '../core/policy-rules.ts';
import { SESSION_OF } from './assurance.ts';

export const SHIPPED: PolicyDocument = {
  source: 'shipped',
  file: null,
  digest: null,
  rules: [
    {
      name: 'privileged-each', when: { ...NO_CONDITIONS, tier: 'privileged' }, ceiling: NO_CEILING,
      verdict: { kind: 'confirm', ask: { kind: 'each' } }, reason: 'privileged access is confirmed each time',
    },
    // IP-12: who asks from the other machine cannot be told apart from anybody else who is there.
    {
      name: 'forwarded-each', when: { ...NO_CONDITIONS, forwarded: true }, ceiling: NO_CEILING,
      verdict: { kind: 'confirm', ask: { kind: 'each' } }, reason: 'what comes over a forwarded socket is confirmed each time',
    },
    {
      name: 'high-for-an-hour', when: { ...NO_CONDITIONS, tier: 'high' }, ceiling: NO_CEILING,
      verdict: { kind: 'confirm', ask: { kind: 'for', seconds: 3600 } }, reason: 'high-risk access is confirmed for an hour',
    },
    {
      name: 'container-once', when: { ...NO_CONDITIONS, container: true }, ceiling: NO_CEILING,
      verdict: { kind: 'confirm', ask: { kind: 'once' } }, reason: 'a program in a container is confirmed once',
    },
    {
      name: 'login-session', when: { ...NO_CONDITIONS, class: ['human'], container: false, forwarded: false, orphan: false }, ceiling: NO_CEILING,
      verdict: { kind: 'allow' }, reason: null,
    },
    // Agents, programs without a login session. It fits everything: no request is left over.
    { name: 'asked-once', when: NO_CONDITIONS, ceiling: NO_CEILING, verdict: { kind: 'confirm', ask: { kind: 'once' } }, reason: 'what runs outside of a login session is confirmed once' },
  ],
  lifts: [],
  device: { issuers: null, sameDevice: false },
  session: NO_DEMAND,
  assurance: NO_ASSURANCE,
};

/** A higher tier never allows more than a lower one. */
export const TIER_CEILINGS: Readonly<Record<Tier, Ceiling>> = {
  low: NO_CEILING,
  normal: NO_CEILING,
  // TK-02: five minutes. A working day since the person signed in. FC-07: never by a code that is typed elsewhere. A workload signs in anew each time.
  high: { ...NO_CEILING, maxTokenLifeS: 300, flows: ['authorization_code', 'client_credentials'], maxAgeS: 28_800, ...SESSION_OF.high },
  // AU-08: just in time, for a quarter of an hour.
  privileged: { ...NO_CEILING, maxTokenLifeS: 300, flows: ['authorization_code', 'client_credentials'], maxAgeS: 900, ...SESSION_OF.privileged },
};
