/**
 * What must hold before the daemon touches a secret: nothing in its environment or flags loads foreign code,
 * weakens TLS, or copies memory out (PH-01, PH-02), and nobody of the same user can read its memory, get its
 * core or a diagnostic report (PH-03, PH-04).
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { BrokerError } from '../core/errors.ts';
import { hardenDarwin } from './harden-darwin.ts';
import { hardenLinux } from './harden-linux.ts';
import { loadNative } from './native.ts';
import type { Native } from './native.ts';

/**
 * Refused where they are not empty. The UV_* variables are not here: they size a thread pool and choose how
 * files are read, and neither loads code nor shows data.
 */
export const UNSAFE_VARIABLES = new Set([
  'NODE_OPTIONS', 'NODE_PATH', 'NODE_REPL_EXTERNAL_MODULE', // code and flags
  'NODE_COMPILE_CACHE', 'NODE_ICU_DATA', // V8 byte code and data that are not checked against tampering
  'NODE_V8_COVERAGE', 'NODE_DEBUG', 'NODE_DEBUG_NATIVE', // write what passes through to files and stderr
  'NODE_TLS_REJECT_UNAUTHORIZED', 'SSLKEYLOGFILE', // TLS without a proof, or with its keys on disk
  'GCONV_PATH', 'GLIBC_TUNABLES', // libc loads code from the first, and takes its defences down by the second
]);
/** The dynamic linker's (ld.so(8), dyld(1)), and OpenSSL's, whose configuration loads engines. */
const UNSAFE_PREFIXES = ['LD_', 'DYLD_', 'OPENSSL_'];

/** Trust beyond the system's store and the profile's CA file. Not used, so not dangerous, but said aloud. */
const IGNORED_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];

const DEBUGGER_FLAG = /^--(inspect|debug)/;
/** All other flags are refused: most of some 200 load code, write memory to disk or loosen TLS. */
const HARMLESS_FLAGS =
  /^--(disable-sigusr1|no-warnings|disable-warning=.*|max-old-space-size=\d+|max-semi-space-size=\d+|jitless|frozen-intrinsics|disable-proto=(delete|throw)|secure-heap(-min)?=\d+|unhandled-rejections=strict)$/;

export function isHarmlessFlag(flag: string): boolean {
  return HARMLESS_FLAGS.test(flag);
}

/**
 * Throws BrokerError unsafe_environment or debugger_refused, which names variables and flags, never values.
 * @returns warnings, for the log and for status.
 */
export function refuseUnsafeEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  execArgv: readonly string[],
  debuggerUrl: string | undefined = urlOfDebugger(),
): readonly string[] {
  if (debuggerUrl !== undefined) throw new BrokerError('debugger_refused', 'a debugger is open');
  const flags = execArgv.filter((flag) => !isHarmlessFlag(flag)).map((flag) => flag.replace(/=.*/s, ''));
  const debuggerFlag = flags.find((flag) => DEBUGGER_FLAG.test(flag.replaceAll('_', '-')));
  if (debuggerFlag !== undefined) throw new BrokerError('debugger_refused', `Node was started with ${debuggerFlag}`);
  if (flags[0] !== undefined) {
    throw new BrokerError('unsafe_environment', `Node was started with ${flags[0]}`, { hint: `Start valetkeyd without ${flags[0]}` });
  }
  const set = Object.keys(env).filter((name) => env[name] !== undefined && env[name] !== '').toSorted();
  const unsafe = set.filter((name) => UNSAFE_VARIABLES.has(name) || UNSAFE_PREFIXES.some((prefix) => name.startsWith(prefix)));
  if (unsafe.length > 0) {
    throw new BrokerError('unsafe_environment', `the environment holds ${unsafe.join(', ')}`, {
      hint: `Run: env${unsafe.map((name) => ` -u ${name}`).join('')} valetkeyd, or start it by: valetkey daemon start`,
    });
  }
  return set
    .filter((name) => IGNORED_VARIABLES.includes(name))
    .map((name) => `${name} is ignored; name the file by ca_file in the profile`);
}

/**
 * Where a debugger listens in this process. The module that knows it brings workers and their messages along, so it is asked
 * only where there is a socket beyond the three files that a process is given: without one nothing can listen.
 */
export function urlOfDebugger(): string | undefined {
  return hasSocket() ? process.getBuiltinModule('node:inspector').url() : undefined;
}

/** Also true where that cannot be told. */
function hasSocket(): boolean {
  try {
    return readdirSync('/proc/self/fd').some((fd) => Number(fd) > 2 && targetOf(fd).startsWith('socket:'));
  } catch {
    return true;
  }
}

/** Empty for the one by which the folder was read. */
function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
    throw cause;
  }
}

/** Cannot be undone in this process. Throws BrokerError unsafe_environment where the system refuses. */
export function hardenProcess(native: Native = loadNative()): void {
  process.umask(0o077);
  for (const name of IGNORED_VARIABLES) delete process.env[name];
  // A report holds the environment and the stack (PH-03); these are the ways in which Node writes one unasked.
  Object.assign(process.report ?? {}, { reportOnFatalError: false, reportOnSignal: false, reportOnUncaughtException: false });
  if (native.platform === 'linux') hardenLinux(native);
  else hardenDarwin(native);
}
