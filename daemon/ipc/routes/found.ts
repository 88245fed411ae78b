/**
 * What detectors found within the last hour of the program that asks, or of the profile that it asks for: a fact for
 * rules (AL-06). Nobody looks where no rule asks.
 */
import { FINDINGS } from '../../core/policy-rules.ts';
import type { Finding } from '../../core/policy-rules.ts';
import type { Audit, Detection } from '../../core/ports.ts';
import type { Policy } from '../../policy/decide.ts';
import type { Subject } from '../../policy/facts.ts';

const NOTHING: readonly Finding[] = [];
/** These are about a program, whichever profile it asked for then. */
const OF_PROGRAM: readonly string[] = ['new_digest', 'repeated_denials'] satisfies readonly Finding[];

export function foundOf(audit: Pick<Audit, 'state'>, { asksFound }: Pick<Policy, 'asksFound'>, { origin: { program } }: Subject, profile: string): readonly Finding[] {
  if (!asksFound) return NOTHING;
  const path = program.script ?? program.executable;
  const isOfThis = (seen: Detection): boolean => (seen.program === null || seen.program === path) && (seen.profile === null || seen.profile === profile || OF_PROGRAM.includes(seen.detector));
  const names = new Set(audit.state().detections.filter(isOfThis).map(({ detector }) => detector));
  return FINDINGS.filter((finding) => names.has(finding));
}

/** The latest, where a rule asks: a release may be what raises one, and it is not out by then. */
export function latestFound(audit: Pick<Audit, 'state'>, policy: Pick<Policy, 'asksFound'> | null): Detection | null {
  return policy?.asksFound === true ? audit.state().detections[0] ?? null : null;
}
