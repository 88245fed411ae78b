/** GET /v1/metrics: numbers that are there anyway, written down when somebody asks. Labels are names of the code only. */
import type { ErrorCode } from '../../../shared/errors.ts';
import { BUILD_VERSION } from '../../../shared/version.ts';
import type { Counts } from '../../core/counts.ts';
import { PlainText } from '../encode.ts';
import type { Broker } from './broker.ts';
import { EXPOSITION_TYPE, writeExposition } from './exposition.ts';
import type { Metric, Sample } from './exposition.ts';

const one = (value: number): readonly Sample[] => [{ labels: {}, value }];
const by = (label: string, values: readonly (readonly [string, number])[]): readonly Sample[] => values.map(([name, value]) => ({ labels: { [label]: name }, value }));
const flag = (holds: boolean): readonly Sample[] => one(holds ? 1 : 0);

export function metrics(broker: Broker): PlainText {
  return new PlainText(EXPOSITION_TYPE, writeExposition([...requestMetrics(broker.counts), ...stateMetrics(broker), ...processMetrics(broker)]));
}

function requestMetrics(counts: Counts): readonly Metric[] {
  const results = (served: readonly (readonly [string, number])[], refused: readonly (readonly [ErrorCode, number])[]): readonly Sample[] =>
    by('result', [...served, ...refused.toSorted(([a], [b]) => a.localeCompare(b))]);
  return [
    { name: 'valetkey_token_requests_total', type: 'counter', help: 'Requests for tokens of people: where the token came from, or the code of the error.', samples: results([['cache', counts.tokens.cache], ['refresh', counts.tokens.refresh]], counts.refusals('tokens')) },
    { name: 'valetkey_workload_token_requests_total', type: 'counter', help: 'Requests for tokens of workloads: where the token came from, or the code of the error.', samples: results([['cache', counts.workloadTokens.cache], ['issuer', counts.workloadTokens.issuer]], counts.refusals('workloadTokens')) },
    { name: 'valetkey_fetches_total', type: 'counter', help: 'Requests to APIs with a token that stays here; what is not over is started only.', samples: by('what', [['started', counts.of('fetch_started')], ['ended', counts.of('fetch_ended')]]) },
    { name: 'valetkey_refreshes_total', type: 'counter', help: 'Refreshes by outcome; parked: the sign-in ended, and a person has to sign in.', samples: by('outcome', [['refreshed', counts.of('token_refreshed')], ['failed', counts.of('refresh_failed')], ['parked', counts.of('grant_parked')]]) },
    { name: 'valetkey_logins_total', type: 'counter', help: 'Sign-ins that are over.', samples: by('outcome', [['complete', counts.of('login_finished')], ['failed', counts.of('login_failed')]]) },
    { name: 'valetkey_denials_total', type: 'counter', help: 'Refusals on record, by what was refused.', samples: by('what', [['token', counts.of('token_refused')], ['workload_token', counts.of('workload_token_refused')], ['peer', counts.of('peer_refused')], ['approval', counts.of('approval_denied')], ['pin', counts.of('pin_refused')]]) },
    { name: 'valetkey_revocations_total', type: 'counter', help: 'Tokens that were revoked at their issuers.', samples: one(counts.of('token_revoked', 'workload_token_revoked')) },
    { name: 'valetkey_detections_total', type: 'counter', help: 'Findings of the detectors.', samples: one(counts.of('detected')) },
  ];
}

function stateMetrics({ book, connections, events, revocations, circuits, lifecycle, vault, audit, logins }: Broker): readonly Metric[] {
  const parked = book.list().filter(({ state }) => state.kind === 'parked').length;
  return [
    { name: 'valetkey_grants', type: 'gauge', help: 'Sign-ins by state.', samples: by('state', [['active', book.list().length - parked], ['login_required', parked]]) },
    { name: 'valetkey_pending_logins', type: 'gauge', help: 'Sign-ins in progress.', samples: one(logins.list().length) },
    { name: 'valetkey_pending_revocations', type: 'gauge', help: 'Tokens that still have to be revoked at their issuers.', samples: one(revocations.count) },
    { name: 'valetkey_failing_issuers', type: 'gauge', help: 'Issuers that fail now.', samples: one(circuits.outages().length) },
    { name: 'valetkey_open_connections', type: 'gauge', help: 'Connections to the socket.', samples: one(connections()) },
    { name: 'valetkey_event_streams', type: 'gauge', help: 'Readers of GET /v1/events.', samples: one(events.subscribers) },
    { name: 'valetkey_vault_open', type: 'gauge', help: '1 where the vault is open.', samples: flag(vault.status().state === 'open') },
    { name: 'valetkey_shut', type: 'gauge', help: '1 where a lock, a panic or a locked screen keeps all tokens in.', samples: flag(lifecycle.shut !== null) },
    { name: 'valetkey_audit_writable', type: 'gauge', help: '0 where the disk refuses the audit log.', samples: flag(audit.trouble() === null) },
  ];
}

function processMetrics({ load, lifecycle }: Broker): readonly Metric[] {
  const { residentBytes, cpuS, loopDelay } = load();
  return [
    { name: 'valetkey_build_info', type: 'gauge', help: 'Always 1; the labels say what runs.', samples: [{ labels: { version: BUILD_VERSION, node: process.version }, value: 1 }] },
    { name: 'valetkey_start_time_seconds', type: 'gauge', help: 'When the daemon was started, in seconds since 1970-01-01 UTC.', samples: one(lifecycle.facts.startedAtMs / 1000) },
    { name: 'valetkey_resident_memory_bytes', type: 'gauge', help: 'Memory that is resident.', samples: one(residentBytes) },
    { name: 'valetkey_cpu_seconds_total', type: 'counter', help: 'CPU time, of the user and of the system.', samples: one(cpuS) },
    {
      name: 'valetkey_event_loop_delay_seconds', type: 'gauge', help: 'How late the event loop was since the look before; measured from the first look on, while somebody looks.',
      samples: loopDelay === null ? [] : by('stat', [['mean', loopDelay.meanS], ['p99', loopDelay.p99S], ['max', loopDelay.maxS]]),
    },
  ];
}
