/**
 * The detectors at work (AL-06): every record goes through each of them in order, and what one of them finds becomes
 * a record itself. They judge nothing else and stop nobody; a rule of policy may ask for what is active.
 */
import type { AuditRecord } from '../../shared/audit-line.ts';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { AuditEvent, Detection, Log } from '../core/ports.ts';
import type { OwnEvent } from './chain.ts';
import { DETECTORS, WINDOW_MS } from './detector-rules.ts';
import type { Judge, Seen } from './detector-rules.ts';

const ACTIVE_MAX = 64;

type DetectorsDeps = { readonly log: Log; readonly append: (event: OwnEvent) => void };

export class Detectors {
  readonly #deps: DetectorsDeps;
  readonly #judges: readonly { readonly name: string; readonly judge: Judge }[] = DETECTORS.map(({ name, create }) => ({ name, judge: create() }));
  #active: readonly Detection[] = [];

  /** @param past - what the log ends with: it is learned from, and nothing is raised for it again */
  constructor(deps: DetectorsDeps, past: readonly AuditRecord[]) {
    this.#deps = deps;
    for (const record of past) for (const { judge } of this.#judges) judge(record);
  }

  see(event: AuditEvent | OwnEvent, at: EpochMs): void {
    if (event.event === 'detected') return;
    // Records of the file and events of the daemon are looked at as the same thing.
    const seen: Seen = { ...event, at };
    for (const { name, judge } of this.#judges) {
      const found = judge(seen);
      if (found !== null) this.#raise(name, found.what, found.facts, event, at);
    }
  }

  /** The newest first. */
  active(now: EpochMs): readonly Detection[] {
    return this.#active.filter(({ at }) => now - at < WINDOW_MS);
  }

  #raise(detector: string, what: string, facts: AuditEvent['facts'], { profile, caller, request }: AuditEvent | OwnEvent, at: EpochMs): void {
    this.#active = [{ detector, at, profile, program: typeof facts['path'] === 'string' ? facts['path'] : null, what } satisfies Detection & { readonly profile: ProfileName | null }, ...this.#active].slice(0, ACTIVE_MAX);
    this.#deps.log.warn('detected', { detector, what });
    this.#deps.append({ event: 'detected', profile, caller, request, facts: { detector, what, ...facts } });
  }
}
