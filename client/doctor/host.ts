/** What this machine lets other processes of the same user do to the daemon, and what the shell would change. */
import { readFileSync } from 'node:fs';
import type { Env } from '../command.ts';
import { environmentAdvice } from '../environment-advice.ts';
import { ok, warning } from './finding.ts';
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
  const why = 'A process of this user may try to read the memory of others; the daemon defends itself, but this is the second wall';
  if (scope === null) return warning('ptrace', 'the kernel has no Yama', why, null);
  return scope.trim() === '0'
    ? warning('ptrace', 'kernel.yama.ptrace_scope is 0', why, 'sudo sysctl kernel.yama.ptrace_scope=1')
    : ok('ptrace', `kernel.yama.ptrace_scope is ${scope.trim()}`);
}

/** @param limits - /proc/PID/limits of the daemon */
export function checkCoreLimit(limits: string | null): Finding {
  const line = limits?.split('\n').find((text) => text.startsWith('Max core file size'));
  if (line === undefined) return warning('core_dumps', 'the limit of the daemon\'s core dumps cannot be read', 'A core dump would hold tokens', null);
  const [soft, hard] = line.slice('Max core file size'.length).trim().split(/\s+/);
  return soft === '0' && hard === '0'
    ? ok('core_dumps', 'the daemon writes no core dumps')
    : warning('core_dumps', `the daemon's core limit is ${soft}, at most ${hard}`, 'A core dump would hold tokens', 'valetkey daemon stop && valetkey daemon start');
}

export function checkEnvironment(env: Env): readonly Finding[] {
  const advice = environmentAdvice(env);
  if (advice.length === 0) return [ok('environment', 'no proxy or CA variables are set here')];
  return advice.map(({ variable, line, caveat }) => warning('environment', `${variable} is set here, and the daemon ignores it`, `To accept it, write into the profile: ${line}${caveat === '' ? '' : `.${caveat}`}`, 'valetkey daemon reload'));
}
