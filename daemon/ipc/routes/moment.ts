/**
 * Facts for rules that may be others a moment later: what detectors found within the last hour of the program that
 * asks, or of the profile that it asks for (AL-06), and the screen (GV-01). Nobody looks where no rule asks.
 */
import { FINDINGS } from '../../core/policy-rules.ts';
import type { Finding } from '../../core/policy-rules.ts';
import type { Audit, Detection } from '../../core/ports.ts';
import type { Policy } from '../../policy/decide.ts';
import type { PolicyRequest, Subject } from '../../policy/facts.ts';
import type { Broker } from './broker.ts';

type Watched = Pick<Broker, 'audit' | 'screen'>;

const NOTHING: readonly Finding[] = [];
/** These are about a program, whichever profile it asked for then. */
const OF_PROGRAM: readonly string[] = ['new_digest', 'repeated_denials'] satisfies readonly Finding[];

function foundOf(audit: Pick<Audit, 'state'>, { asksFound }: Pick<Policy, 'asksFound'>, { origin: { program } }: Subject, profile: string): readonly Finding[] {
  if (!asksFound) return NOTHING;
  const path = program.script ?? program.executable;
  const isOfThis = (seen: Detection): boolean => (seen.program === null || seen.program === path) && (seen.profile === null || seen.profile === profile || OF_PROGRAM.includes(seen.detector));
  const names = new Set(audit.state().detections.filter(isOfThis).map(({ detector }) => detector));
  return FINDINGS.filter((finding) => names.has(finding));
}

/** What rules may ask of this moment, besides the clock and what does not change. */
export function momentOf({ audit, screen }: Watched, policy: Policy, subject: Subject, profile: string): Pick<PolicyRequest, 'found' | 'screenLocked'> {
  return { found: foundOf(audit, policy, subject, profile), screenLocked: policy.asksScreen ? screen.isLocked : null };
}

/** Where a rule asks: the latest finding, since a release may be what raises one, and it is not out by then; and the screen. */
export type Seen = { readonly found: Detection | null; readonly screenLocked: boolean | null };

export function seenNow({ audit, screen }: Watched, policy: Policy | null): Seen {
  return { found: policy?.asksFound === true ? audit.state().detections[0] ?? null : null, screenLocked: policy?.asksScreen === true ? screen.isLocked : null };
}

/** Whether rules would find it as it was. */
export function isSeenStill(watched: Watched, policy: Policy | null, before: Seen): boolean {
  const now = seenNow(watched, policy);
  return now.found === before.found && now.screenLocked === before.screenLocked;
}
