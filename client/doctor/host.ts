/** What this machine lets other processes of the same user do to the daemon, its clock, and its Node. */
import { readFileSync } from 'node:fs';
import type { DiagnosisReply, IssuerTrial } from '../../shared/diagnosis-schemas.ts';
import { failure, ok, warning, word } from './finding.ts';
import type { Finding } from './finding.ts';

/** Null where the kernel has no such file, or does not show it. */
export function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // not Linux, no Yama, or the process is gone: each check says what that means
  }
}

export function checkPtrace(scope: string | null): Finding {
  // The daemon defends itself in either case; see memory_access.
  if (scope === null) return ok('ptrace', 'the kernel has no Yama; the daemon lets itself be traced by nobody');
  return scope.trim() === '0'
    ? warning('ptrace', 'kernel.yama.ptrace_scope is 0', 'Programs of this user may trace each other: your browser, your editor, your shell', 'sudo sysctl kernel.yama.ptrace_scope=1')
    : ok('ptrace', `kernel.yama.ptrace_scope is ${scope.trim()}`);
}

/** @param canRead - whether this process can open what the kernel hides of a process that is not dumpable */
export function checkMemoryAccess(pid: number, canRead: boolean, uid: number): Finding {
  if (uid === 0) return ok('memory_access', 'this is root, who may read the memory of any process');
  return canRead
    ? failure('memory_access', `other programs of this user can read the memory of the daemon, pid ${pid}`, 'It holds the tokens: prctl(PR_SET_DUMPABLE) had no effect there', 'valetkey daemon stop && valetkey daemon start')
    : ok('memory_access', 'other programs of this user cannot read the daemon\'s memory');
}

/** @param limits - /proc/PID/limits of the daemon */
export function checkCoreLimit(pid: number, limits: string | null): Finding {
  const line = limits?.split('\n').find((text) => text.startsWith('Max core file size'));
  const why = 'A core dump would hold tokens';
  if (line === undefined) return warning('core_dumps', 'the limit of the daemon\'s core dumps cannot be read', why, `cat /proc/${pid}/limits`);
  const [soft, hard] = line.slice('Max core file size'.length).trim().split(/\s+/);
  return soft === '0' && hard === '0'
    ? ok('core_dumps', 'the daemon writes none')
    : warning('core_dumps', `the daemon's core limit is ${soft}, at most ${hard}`, why, 'valetkey daemon stop && valetkey daemon start');
}

/** What package.json asks for. */
const NODE_MIN = [20, 19] as const;

export function checkNode(client: string, daemon: string | null): Finding {
  const isOld = (version: string): boolean => {
    const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
    return major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1]);
  };
  const old = [client, ...(daemon === null ? [] : [daemon])].find(isOld);
  if (old !== undefined) return failure('node', `this is Node ${old}`, `Valetkey is made for ${NODE_MIN.join('.')} and later; older ones lack what it relies on`, 'node --version');
  return ok('node', daemon === null || daemon === client ? client : `${client} here, ${daemon} in the daemon`);
}

// When this was written: a clock before it is wrong, and every token would look as if it lived for years.
const EARLIEST_NOW = Date.UTC(2026, 10, 1) / 1000;
/** Beyond this, tokens look older or younger than they are; ID tokens are let pass within five minutes. */
const SKEW_S = 60;
type Machine = { readonly platform: string; readonly hasSystemd: boolean };

/** @param by - an issuer whose clock is right, where nobody keeps that of this machine */
function setClock({ platform, hasSystemd }: Machine, by: string | null): string {
  if (platform === 'darwin') return 'sudo sntp -sS time.apple.com';
  if (hasSystemd) return 'sudo timedatectl set-ntp true';
  return by === null ? 'date' : `sudo date -s "$(curl -sI ${word(by)} | sed -n 's/^[Dd]ate: //p')"`;
}

export function checkClock(now: number, startedAt: number | null, diagnosis: DiagnosisReply | null, machine: Machine): Finding {
  const why = 'Tokens would be kept after their end, or thrown away before it';
  const known = (diagnosis?.issuers ?? []).filter(({ skew_s: skew }) => skew !== null);
  if (now < EARLIEST_NOW) return failure('clock', `the clock says ${new Date(now * 1000).toISOString()}`, why, setClock(machine, known[0]?.issuer ?? null));
  if (startedAt !== null && startedAt > now + 5) return warning('clock', 'the daemon was started in the future: the clock was set back', why, 'valetkey daemon stop');
  const off = known.filter(({ skew_s: skew }) => Math.abs(skew ?? 0) > SKEW_S);
  const [first] = off;
  return first === undefined
    ? ok('clock', known.length === 0 ? 'it is plausible; no issuer was there to compare it with' : `it agrees with ${known.length === 1 ? `${known[0]?.issuer} (${known[0]?.skew_s} s)` : `${known.length} issuers`}`)
    : skewed(first, off.length < known.length, machine);
}

/** Where other issuers agree with this machine, it is that issuer's clock, and nothing here mends it. */
function skewed({ issuer, skew_s: skew }: IssuerTrial, othersAgree: boolean, machine: Machine): Finding {
  const what = `the clock of ${issuer} is ${Math.abs(skew ?? 0)} s ${(skew ?? 0) > 0 ? 'ahead of' : 'behind'} this machine's`;
  const why = 'Sign-ins may be refused as too old or not yet valid';
  return othersAgree
    ? warning('clock', `${what}, with which other issuers agree`, why, `curl -sI ${word(issuer)}`, 'Tell whoever runs that issuer')
    : warning('clock', what, why, setClock(machine, issuer));
}
