/**
 * A record as an event of the Open Cybersecurity Schema Framework, 1.4.0, for collectors. The account goes out by its
 * fingerprint only, and what has no place in the schema stays under `unmapped`. docs/audit.md has the table.
 */
import type { AuditRecord } from '../../shared/audit-line.ts';
import { BUILD_VERSION } from '../../shared/version.ts';
import { textOf, viewCaller, wordsOf } from './caller-view.ts';
import type { CallerView } from './caller-view.ts';

type OcsfClass = { readonly uid: number; readonly name: string; readonly category: number; readonly categoryName: string };

const AUTHENTICATION: OcsfClass = { uid: 3002, name: 'Authentication', category: 3, categoryName: 'Identity & Access Management' };
const ENTITY: OcsfClass = { uid: 3004, name: 'Entity Management', category: 3, categoryName: 'Identity & Access Management' };
const FINDING: OcsfClass = { uid: 2004, name: 'Detection Finding', category: 2, categoryName: 'Findings' };
const LIFECYCLE: OcsfClass = { uid: 6002, name: 'Application Lifecycle', category: 6, categoryName: 'Application Activity' };
const BASE: OcsfClass = { uid: 0, name: 'Base Event', category: 0, categoryName: 'Uncategorized' };

const OTHER = 99;
const SUCCESS = 1;
const FAILURE = 2;
const INFORMATIONAL = 1;
const MEDIUM = 3;
const HIGH = 4;
const CRITICAL = 5;

export type OcsfRow = { readonly class: OcsfClass; readonly activity: number; readonly name: string; readonly status: 1 | 2; readonly severity: number };

const row = (of: OcsfClass, activity: number, name: string, status: 1 | 2 = SUCCESS, severity = status === FAILURE ? MEDIUM : INFORMATIONAL): OcsfRow => ({ class: of, activity, name, status, severity });

/** Event of the log -> what it is there. */
export const OCSF: Readonly<Record<string, OcsfRow>> = {
  daemon_started: row(LIFECYCLE, 3, 'Start'),
  daemon_stopped: row(LIFECYCLE, 4, 'Stop'),
  config_reloaded: row(ENTITY, 3, 'Update'),
  login_decided: row(AUTHENTICATION, OTHER, 'Flow Decision'),
  login_finished: row(AUTHENTICATION, 1, 'Logon'),
  login_failed: row(AUTHENTICATION, 1, 'Logon', FAILURE),
  token_released: row(AUTHENTICATION, OTHER, 'Token Release'),
  token_refused: row(AUTHENTICATION, OTHER, 'Token Release', FAILURE),
  fetch_started: row(AUTHENTICATION, OTHER, 'Token Use'),
  fetch_ended: row(AUTHENTICATION, OTHER, 'Token Use'),
  token_refreshed: row(AUTHENTICATION, OTHER, 'Token Refresh'),
  refresh_failed: row(AUTHENTICATION, OTHER, 'Token Refresh', FAILURE),
  grant_parked: row(AUTHENTICATION, OTHER, 'Grant Parked', FAILURE),
  grant_removed: row(AUTHENTICATION, 2, 'Logoff'),
  browser_signed_out: row(AUTHENTICATION, 2, 'Logoff'),
  token_revoked: row(AUTHENTICATION, OTHER, 'Token Revocation'),
  jit_granted: row(AUTHENTICATION, 1, 'Logon'),
  jit_ended: row(AUTHENTICATION, 2, 'Logoff'),
  peer_refused: row(AUTHENTICATION, OTHER, 'Peer Refused', FAILURE),
  approval_given: row(AUTHENTICATION, OTHER, 'Approval'),
  approval_denied: row(AUTHENTICATION, OTHER, 'Approval', FAILURE),
  approval_revoked: row(AUTHENTICATION, OTHER, 'Approval Revoked'),
  pin_refused: row(AUTHENTICATION, OTHER, 'Approval PIN', FAILURE),
  pin_changed: row(ENTITY, 3, 'Update'),
  panic: row(ENTITY, 4, 'Delete', SUCCESS, CRITICAL),
  lockout_lifted: row(ENTITY, 3, 'Update', SUCCESS, MEDIUM),
  session_locked: row(ENTITY, 3, 'Update'),
  session_unlocked: row(ENTITY, 3, 'Update'),
  workload_token_obtained: row(AUTHENTICATION, 3, 'Authentication Ticket'),
  workload_token_released: row(AUTHENTICATION, OTHER, 'Token Release'),
  workload_token_refused: row(AUTHENTICATION, OTHER, 'Token Release', FAILURE),
  workload_token_revoked: row(AUTHENTICATION, OTHER, 'Token Revocation'),
  workload_key_changed: row(ENTITY, 3, 'Update'),
  client_registered: row(ENTITY, 1, 'Create'),
  workload_removed: row(ENTITY, 4, 'Delete'),
  locked: row(ENTITY, 3, 'Update'),
  unlocked: row(ENTITY, 3, 'Update'),
  profile_added: row(ENTITY, 1, 'Create'),
  profile_removed: row(ENTITY, 4, 'Delete'),
  purged: row(ENTITY, 4, 'Delete'),
  detected: row(FINDING, 1, 'Create', SUCCESS, HIGH),
  audit_repaired: row(BASE, OTHER, 'Log Repaired', SUCCESS, MEDIUM),
  audit_checkpoint: row(BASE, OTHER, 'Log Signed'),
  audit_unsigned: row(BASE, OTHER, 'Log Unsigned', SUCCESS, MEDIUM),
  audit_tampered: row(BASE, OTHER, 'Log Tampered With', FAILURE, CRITICAL),
  audit_truncated: row(BASE, OTHER, 'Log Truncated', FAILURE, CRITICAL),
};

const UNKNOWN = row(BASE, 0, 'Unknown');

export function ocsfRow(event: string): OcsfRow {
  return OCSF[event] ?? UNKNOWN;
}

function processOf(view: CallerView): object {
  return {
    ...(view.pid === null ? {} : { pid: view.pid }),
    name: view.name,
    file: { name: view.name, path: view.path, type_id: 1, ...(view.digest === null ? {} : { hashes: [{ algorithm_id: 3, algorithm: 'SHA-256', value: view.digest }] }) },
    ...(view.lineage.length === 0 ? {} : { lineage: view.lineage }),
  };
}

export function toOcsf(record: AuditRecord): object {
  const { seq, at, event, profile, request, facts, hash } = record;
  const of = ocsfRow(event);
  const caller = viewCaller(record.caller);
  // The name of the account at its issuer stays here; its fingerprint is enough to tell two apart.
  const { account, sub: _sub, ...unmapped } = facts;
  const message = textOf(facts['what']) ?? textOf(facts['reason']) ?? textOf(facts['why']);
  const scopes = wordsOf(facts['scopes']);
  return {
    class_uid: of.class.uid, class_name: of.class.name, category_uid: of.class.category, category_name: of.class.categoryName,
    activity_id: of.activity, activity_name: of.name, type_uid: of.class.uid * 100 + of.activity, type_name: `${of.class.name}: ${of.name}`,
    time: at, severity_id: of.severity, status_id: of.status, status: of.status === SUCCESS ? 'Success' : 'Failure',
    ...(message === null ? {} : { message, status_detail: message }),
    metadata: {
      version: '1.4.0', product: { name: 'Valetkey', vendor_name: 'Valetkey', version: BUILD_VERSION },
      log_name: 'audit', event_code: event, uid: hash, sequence: seq, ...(request === null ? {} : { correlation_uid: request }),
    },
    ...(caller === null ? {} : { actor: { process: processOf(caller), ...(caller.uid === null ? {} : { user: { uid: String(caller.uid) } }), ...(caller.agent === null ? {} : { app_name: caller.agent }) } }),
    ...(of.class === AUTHENTICATION ? { auth_protocol_id: 6, auth_protocol: 'OAUTH 2.0', user: { uid: textOf(account) ?? 'unknown' }, ...(textOf(facts['issuer']) === null ? {} : { service: { name: facts['issuer'] } }) } : {}),
    ...(of.class === FINDING ? { finding_info: { uid: hash, title: textOf(facts['what']) ?? event, analytic: { name: textOf(facts['detector']) ?? event, type_id: 1 } } } : {}),
    ...(of.class === ENTITY ? { entity: { name: profile ?? 'valetkey', type: profile === null ? 'daemon' : 'profile' } } : {}),
    ...(of.class === LIFECYCLE ? { app: { name: 'valetkeyd', vendor_name: 'Valetkey' } } : {}),
    ...(scopes.length === 0 ? {} : { resources: scopes.map((name) => ({ name, type: 'scope' })) }),
    unmapped: { ...(profile === null ? {} : { profile }), ...(caller === null || caller.kind === null ? {} : { caller_class: caller.kind }), ...unmapped },
  };
}
