/**
 * A question in the words of a dialog. All that a yes would be to stands in it whole; what the asker says of itself
 * may be cut, and is marked as a claim. A question that does not fit is none for a dialog: the terminal shows it all.
 * Pure.
 */
import type { ConsentBinding } from '../core/consents.ts';
import type { DialogText } from '../core/desktop-port.ts';
import type { Caller } from '../core/domain.ts';
import { cleanText } from '../core/text.ts';
import type { Pending } from './approvals.ts';
import { programLabel } from './consent-key.ts';

/** Longer ones grow the dialog over the edge of a screen. */
const LINE_MAX = 160;
const CLAIM_MAX = 80;
const PARENTS_MAX = 3;

/** @returns null where it cannot be shown whole */
export function dialogText(pending: Pending, pinError: string | null): DialogText | null {
  const { asker: { origin }, claimed, profile, scopes, resource, rule, asking, tier, use } = pending;
  const { program: { executable, script }, run, agent, lineage } = origin;
  const facts: readonly string[] = [
    `${programLabel(pending.asker)} wants to use ${profile}.`,
    ...(executable === null ? ['Its file is not known.'] : [`File: ${executable}`]),
    ...(script === null ? [] : [`Script: ${script}`]),
    ...(run === null ? [] : [`It gives the token to: ${run}`]),
    ...(use === 'token' ? [] : ['It gets what the API answers, and not the token.']),
    ...(agent === null ? [] : [`Agent: ${agent}`]),
    `Scopes: ${scopes === null ? 'the usual ones' : scopes.join(' ')}`,
    ...(resource === null ? [] : [`For: ${resource}`]),
    `Rule: ${rule}`,
    asking.kind === 'each' ? 'A yes is for this request.' : `A yes holds ${dialogBinding(pending.asker) === 'session' ? 'in its terminal session' : 'for this run of it'}, for ${lifeWords(asking.ms)} at most.`,
  ].map(plain);
  if (facts.some((line) => line.length > LINE_MAX)) return null;
  const parents = lineage.slice(0, PARENTS_MAX).map(({ name, pid }) => `${name} (pid ${pid})`).join(' ‹ ');
  const says = [claimed?.name, claimed?.reason].filter((word) => word !== undefined).map((word) => cleanText(word, CLAIM_MAX)).join(': ');
  return {
    title: 'Valetkey',
    lines: [
      ...facts,
      ...(parents === '' ? [] : [plain(cut(`Started by: ${parents}`))]),
      ...(says === '' ? [] : [plain(cut(`It says of itself: "${says}"`))]),
    ],
    yes: 'Allow',
    no: 'No',
    pin: tier === 'privileged' ? { prompt: 'Approval PIN:', error: pinError } : null,
  };
}

/** A wider one is given at a terminal. */
export function dialogBinding({ origin }: Caller): ConsentBinding {
  return origin.sessionLeader === null ? 'run' : 'session';
}

/** Some dialogs take what looks like markup for markup. */
function plain(line: string): string {
  return cleanText(line, Infinity).replaceAll('<', '‹').replaceAll('>', '›').replaceAll('&', '＆');
}

function cut(line: string): string {
  return cleanText(line, LINE_MAX);
}

function lifeWords(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}
