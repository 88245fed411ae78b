/**
 * What happened since the daemon started, as numbers. Names are those of the domain, so there are as many of them as
 * the code has, whatever anybody asks for: no profile, no caller, no text of a stranger.
 */
import type { ErrorCode } from '../../shared/errors.ts';
import type { AuditEvent } from './ports.ts';

/** Served from, as the reply says it. */
type Served = { cache: number; refresh: number; issuer: number };

export class Counts {
  /** The hot path adds one here, and nothing else. */
  readonly tokens: Served = { cache: 0, refresh: 0, issuer: 0 };
  readonly workloadTokens: Served = { cache: 0, refresh: 0, issuer: 0 };
  readonly #refused = { tokens: new Map<ErrorCode, number>(), workloadTokens: new Map<ErrorCode, number>() };
  readonly #records = new Map<AuditEvent['event'] | 'detected', number>();

  refused(what: 'tokens' | 'workloadTokens', code: ErrorCode): void {
    const of = this.#refused[what];
    of.set(code, (of.get(code) ?? 0) + 1);
  }

  recorded(event: AuditEvent['event'] | 'detected'): void {
    this.#records.set(event, (this.#records.get(event) ?? 0) + 1);
  }

  refusals(what: 'tokens' | 'workloadTokens'): readonly (readonly [ErrorCode, number])[] {
    return [...this.#refused[what]];
  }

  /** How many records of these events there were. */
  of(...events: readonly (AuditEvent['event'] | 'detected')[]): number {
    return events.reduce((sum, event) => sum + (this.#records.get(event) ?? 0), 0);
  }
}
