/** `audit verify`, `key` and `trace`: what can be proved, and by whom. */
import { join } from 'node:path';
import { AUDIT_FILE } from '../../shared/audit-line.ts';
import type { AuditRecord } from '../../shared/audit-line.ts';
import type { AuditReply } from '../../shared/audit-schemas.ts';
import { callerWords, textOf, viewCaller, wordsOf } from '../audit/caller-view.ts';
import { auditFiles, readLines } from '../audit/log-files.ts';
import { timeWords } from '../audit/record-words.ts';
import { isTraced, traceToken } from '../audit/trace.ts';
import type { Traced } from '../audit/trace.ts';
import { thumbprint, verifyAudit } from '../audit/verify-log.ts';
import type { Intact } from '../audit/verify-log.ts';
import type { CommandContext } from '../command.ts';
import { count } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export type VerifyOptions = { readonly key?: string };

/** A running daemon's word; null where none runs. It is not started: what proves a log must not write to it. */
async function askDaemon({ runningDaemon, signal }: CommandContext): Promise<AuditReply | null> {
  try {
    return await runningDaemon.api.audit(signal);
  } catch (error) {
    if (error instanceof ValetkeyError && !signal.aborted) return null;
    throw error;
  }
}

function parseKey(text: string): string {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) throw ValetkeyError.local('bad_request', '--key takes the x of an Ed25519 key, as "valetkey audit key" prints it');
  return thumbprint(text);
}

/** Who says that the signatures are the right ones. */
function trustOf({ signed }: Intact, daemon: AuditReply | null, kid: string | null): 'key' | 'vault' | 'log' | 'none' {
  if (signed === null) return 'none';
  if (kid !== null) return 'key';
  return daemon?.key?.kid === signed.kid && daemon.key.remembered !== null ? 'vault' : 'log';
}

const TRUST = {
  key: 'signed with the key that you named',
  vault: 'signed with the key of the open vault, which remembers the last signature',
  log: 'signed with a key that only the log itself names: no daemon runs that could confirm it, so pass --key',
  none: 'not signed: nothing shows that the whole log was not written anew',
} as const;

export async function auditVerify(context: CommandContext, options: VerifyOptions): Promise<void> {
  const { terminal, paths } = context;
  const kid = options.key === undefined ? null : parseKey(options.key);
  const daemon = await askDaemon(context);
  const heads = [daemon?.head ?? null, daemon?.key?.remembered ?? null].filter((head) => head !== null).filter(({ seq }) => seq > 0);
  const verdict = await verifyAudit(join(paths.auditDir, AUDIT_FILE), { heads, kid });
  if (verdict.kind === 'broken') {
    throw ValetkeyError.local('audit_broken', `${join(paths.auditDir, verdict.file)}, line ${verdict.line}: ${verdict.why}`);
  }
  const trust = trustOf(verdict, daemon, kid);
  // The record of the signature itself is neither signed nor loose.
  const unsigned = verdict.records - (verdict.signed === null ? 0 : verdict.signed.seq + 1);
  if (terminal.json) return terminal.document({ ...verdict, unsigned, trust, key: daemon?.key ?? null, compared_with_daemon: daemon !== null });
  terminal.line(`The chain of ${count(verdict.records, 'record')} in ${count(verdict.files, 'file')} is whole.`);
  terminal.facts([
    ['Signed', verdict.signed === null ? TRUST.none : `${unsigned === 0 ? 'all of it' : `up to record ${verdict.signed.seq}, so the last ${count(unsigned, 'record')} not yet`}, ${timeWords(verdict.signed.at)}`],
    ...(verdict.signed === null ? [] : [['Key', `${verdict.signed.kid}, ${TRUST[trust]}`] as const]),
    ['Daemon', daemon === null ? 'none runs: records after the last signature could be missing at the end' : 'its own record of the end agrees'],
    ...(verdict.torn.length === 0 ? [] : [['Torn by crashes', `lines ${verdict.torn.join(', ')}, each closed by a record that says so`] as const]),
  ]);
  for (const { seq, at, event } of verdict.told) terminal.tell(`Told by the log itself: ${event}, record ${seq}, ${timeWords(at)}. What stood there before may be gone.`);
  for (const { what } of daemon?.detections ?? []) terminal.tell(`Noticed in the last hour: ${what}`);
}

export async function auditKey({ terminal, daemon, signal }: CommandContext): Promise<void> {
  const { key } = await daemon.api.audit(signal);
  if (key === null) throw ValetkeyError.local('vault_locked', 'the vault holds the key of the audit log, and it is not open');
  if (terminal.json) return terminal.document({ kty: 'OKP', crv: 'Ed25519', x: key.x, kid: key.kid });
  terminal.line(key.x);
  terminal.note(`Keep it somewhere else, and compare: valetkey audit verify --key ${key.x}`);
}

const TOKEN_MAX = 16_384;

export async function auditTrace({ terminal, daemon, paths, signal, readStdin, stdinIsTerminal }: CommandContext): Promise<void> {
  if (stdinIsTerminal) terminal.tell('Paste the token, then press Enter and Ctrl-D:');
  const token = (await readStdin(TOKEN_MAX)).trim().replace(/^(?:authorization: *)?bearer +/i, '');
  if (token.length < 8) throw ValetkeyError.local('bad_request', 'standard input holds no token', { hint: 'Run: valetkey audit trace < FILE' });
  const { fingerprint, lasting } = await daemon.api.trace(token, signal);
  const traced = await traceToken(fingerprint, readLines(await auditFiles(paths.auditDir)));
  if (!isTraced(traced)) {
    const why = lasting ? '' : '; the vault is in memory, so tokens of earlier runs of the daemon cannot be found';
    throw ValetkeyError.local('not_found', `no record names this token (${fingerprint})${why}`, { hint: 'Check that all of the token was read, and that it was issued through this daemon' });
  }
  if (terminal.json) return terminal.document(traced);
  showTrace(terminal, traced);
}

function showTrace(terminal: CommandContext['terminal'], traced: Traced): void {
  const { login, decided, minted, releases, revoked } = traced;
  const [first] = releases;
  const any = first ?? minted ?? revoked[0] ?? null;
  const decidedBy = viewCaller(decided?.caller ?? login?.caller ?? null);
  terminal.facts([
    ['Token', traced.fingerprint],
    ['Profile', any?.profile ?? '(none)'],
    ['Issuer', factOf(any, 'issuer') ?? '(not recorded)'],
    ['Account', factOf(any, 'account') ?? factOf(login, 'account') ?? '(not named)'],
    ['Scopes', wordsOf(any?.facts['scopes']).join(' ') || '(none)'],
    ['Login', minted?.event === 'workload_token_obtained' ? `none: a workload's own (${factOf(minted, 'auth') ?? '?'})` : login === null ? 'not in the log' : `${timeWords(login.at)}, ${factOf(login, 'flow') ?? '?'}, started by ${callerWords(decidedBy)}`],
    ...(decided === null ? [] : [['Why this flow', `${factOf(decided, 'reason') ?? '?'} (rule ${factOf(decided, 'rule') ?? '?'})`] as const]),
    ['Grant', any === null || minted?.event === 'workload_token_obtained' ? 'none' : `generation ${String(any.facts['generation'] ?? '?')}`],
    ['Issued', minted === null ? 'with the sign-in' : `${timeWords(minted.at)}, by a ${minted.event === 'token_refreshed' ? 'refresh' : 'request of its own'}`],
    ['Revoked', revoked.length === 0 ? 'no' : revoked.map((record) => `${timeWords(record.at)}: ${factOf(record, 'outcome') ?? '?'}`).join('; ')],
  ]);
  terminal.line('');
  terminal.table(['RELEASED', 'TO', 'PROGRAM', 'PID', 'STARTED BY', 'REQUEST'], releases.map((record) => {
    const view = viewCaller(record.caller);
    const more = record.facts['more_since_last'];
    return [timeWords(record.at), `${callerWords(view)}${typeof more === 'number' && more > 0 ? ` (and ${more} before)` : ''}`, view?.path ?? '-', String(view?.pid ?? '-'), view?.lineage[0] ?? '-', record.request ?? '-'];
  }));
  if (traced.releasesLeftOut > 0) terminal.note(`${traced.releasesLeftOut} releases in between are left out.`);
}

function factOf(record: AuditRecord | null, name: string): string | null {
  return textOf(record?.facts[name]);
}
