/**
 * What is on record is counted, and told to those who listen: one place for both, so that no way to refuse, to
 * refresh or to release goes unseen. Not before it is on record. A detector's finding is told with the next record.
 */
import type { BrokerEvent } from '../shared/schemas.ts';
import type { Counts } from './core/counts.ts';
import type { Audit, AuditEvent, Detection } from './core/ports.ts';
import { cleanText } from './core/text.ts';
import type { Events } from './ipc/routes/broker.ts';

type Told = { readonly event: BrokerEvent['event']; readonly detail: (facts: AuditEvent['facts']) => string | null };

const fact = (...names: readonly string[]) => (facts: AuditEvent['facts']): string | null => {
  const found = names.map((name) => facts[name]).find((value) => typeof value === 'string');
  return typeof found === 'string' ? cleanText(found, 120) : null;
};

/** What has no event of its own already. */
const TOLD: Partial<Readonly<Record<AuditEvent['event'], Told>>> = {
  token_released: { event: 'token_released', detail: fact('rule') },
  workload_token_released: { event: 'token_released', detail: fact('rule') },
  token_refused: { event: 'token_refused', detail: fact('code', 'rule') },
  workload_token_refused: { event: 'token_refused', detail: fact('code', 'rule') },
  refresh_failed: { event: 'refresh_failed', detail: fact('why') },
  grant_parked: { event: 'grant_parked', detail: fact('reason') },
  peer_refused: { event: 'peer_refused', detail: fact('where') },
};

export function observed(audit: Audit, counts: Counts, events: Events, onRecorded: (event: AuditEvent) => void): Audit {
  let seen = new Set(audit.state().detections.map(nameOf));
  const tell = ({ event, profile, caller, facts }: AuditEvent): void => {
    counts.recorded(event);
    const told = TOLD[event];
    if (told === undefined) return;
    // Those in between are told by tell-releases.ts, as they happen.
    events.emit(told.event, profile, told.detail(facts), { caller: caller?.label ?? null, count: told.event === 'token_released' ? 1 : null });
  };
  const tellDetections = (): void => {
    const { detections } = audit.state();
    for (const each of detections.filter((one) => !seen.has(nameOf(one)))) {
      counts.recorded('detected');
      events.emit('detected', each.profile, `${each.detector}: ${each.what}`);
    }
    seen = new Set(detections.map(nameOf));
  };
  return {
    append: async (event) => {
      await audit.append(event);
      onRecorded(event);
      tell(event);
      tellDetections();
    },
    trouble: () => audit.trouble(),
    state: () => audit.state(),
    useKeys: (keys) => audit.useKeys(keys),
    close: () => audit.close(),
  };
}

function nameOf({ detector, at, what }: Detection): string {
  return `${detector} ${at} ${what}`;
}
