import { getSystemErrorName } from 'node:util';
import { BrokerError } from '../core/errors.ts';
import type { Native } from './native.ts';

// Variadic in C; on every Linux ABI that Node runs on, such arguments are passed like others.
const PRCTL = 'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)';
const SETRLIMIT = 'int setrlimit(int, const void *)';
// linux/prctl.h, asm-generic/resource.h
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const RLIMIT_CORE = 4;

export function hardenLinux(native: Native): void {
  // struct rlimit, soft and hard: a process without privileges cannot raise the hard limit again.
  demand('RLIMIT_CORE', native.call(SETRLIMIT, RLIMIT_CORE, new Uint8Array(16)));
  // No ptrace, no /proc/PID/mem, environ or fd for the same user, also where Yama is absent (PH-04). exec
  // resets it, so it can only be set from inside.
  demand('PR_SET_DUMPABLE', native.call(PRCTL, PR_SET_DUMPABLE, 0, 0, 0, 0));
  demand('PR_SET_NO_NEW_PRIVS', native.call(PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (native.call(PRCTL, PR_GET_DUMPABLE, 0, 0, 0, 0) !== 0) {
    throw new BrokerError('unsafe_environment', 'the kernel says that this process can still be dumped');
  }
}

function demand(what: string, result: number): void {
  if (result < 0) throw new BrokerError('unsafe_environment', `${what} was refused: ${getSystemErrorName(result)}`, { hint: 'See which sandbox forbids it' });
}
