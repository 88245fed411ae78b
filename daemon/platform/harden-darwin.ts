/** Experimental: written after macOS's ptrace(2) and setrlimit(2), and never run on macOS. */
import { getSystemErrorName } from 'node:util';
import { BrokerError } from '../core/errors.ts';
import type { Native } from './native.ts';

const PTRACE = 'int ptrace(int, int, void *, int)';
const SETRLIMIT = 'int setrlimit(int, const void *)';
// sys/ptrace.h, sys/resource.h
const PT_DENY_ATTACH = 31;
const RLIMIT_CORE = 4;

export function hardenDarwin(native: Native): void {
  const refused =
    native.call(SETRLIMIT, RLIMIT_CORE, new Uint8Array(16)) || native.call(PTRACE, PT_DENY_ATTACH, 0, null, 0);
  if (refused < 0) {
    throw new BrokerError('unsafe_environment', `core dumps and debuggers cannot be forbidden: ${getSystemErrorName(refused)}`);
  }
}
