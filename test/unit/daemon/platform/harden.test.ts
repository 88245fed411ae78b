import { describe, expect, it } from 'vitest';
import { hardenDarwin } from '../../../../daemon/platform/harden-darwin.ts';
import { hardenLinux } from '../../../../daemon/platform/harden-linux.ts';
import { refuseUnsafeEnvironment } from '../../../../daemon/platform/harden.ts';
import type { NativeArgument } from '../../../../daemon/platform/native.ts';

const FINE = { PATH: '/usr/bin', HOME: '/home/ada', UV_THREADPOOL_SIZE: '8', NODE_ENV: 'production', NODE_VERSION: '20.19.0' };

describe('refuseUnsafeEnvironment', () => {
  it.each([
    'NODE_OPTIONS', 'NODE_PATH', 'NODE_REPL_EXTERNAL_MODULE', 'NODE_V8_COVERAGE', 'NODE_TLS_REJECT_UNAUTHORIZED', 'NODE_DEBUG',
    'NODE_COMPILE_CACHE', 'SSLKEYLOGFILE', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'DYLD_INSERT_LIBRARIES', 'OPENSSL_CONF',
    'OPENSSL_MODULES', 'GCONV_PATH', 'GLIBC_TUNABLES',
  ])('refuses %s by its name and without its value', (name) => {
    let thrown: unknown;
    try {
      refuseUnsafeEnvironment({ ...FINE, [name]: 'valueEXAMPLE' }, [], undefined);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'unsafe_environment', message: `the environment holds ${name}` });
    expect(JSON.stringify(thrown)).not.toContain('valueEXAMPLE');
  });

  it('names all of them at once, and how to clear them', () => {
    expect(() => refuseUnsafeEnvironment({ NODE_PATH: 'x', LD_PRELOAD: 'y' }, [], undefined)).toThrow(
      expect.objectContaining({ message: 'the environment holds LD_PRELOAD, NODE_PATH', facts: { hint: expect.stringContaining('env -u LD_PRELOAD -u NODE_PATH valetkeyd') } }),
    );
  });

  it('takes a plain environment, and variables that a unit file emptied', () => {
    expect(refuseUnsafeEnvironment({ ...FINE, NODE_OPTIONS: '', LD_PRELOAD: '' }, [], undefined)).toEqual([]);
  });

  it.each(['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'])('only warns of %s, which is not used', (name) => {
    expect(refuseUnsafeEnvironment({ ...FINE, [name]: '/ca.pem' }, [], undefined)).toEqual([expect.stringContaining(`${name} is ignored`)]);
  });

  it.each(['--inspect', '--inspect=0', '--inspect-brk', '--inspect-wait', '--inspect_brk=9229', '--inspect-port=0', '--inspect-publish-uid=http', '--debug-port=1'])('refuses %s as a debugger', (flag) => {
    expect(() => refuseUnsafeEnvironment(FINE, ['--no-warnings', flag], undefined)).toThrow(expect.objectContaining({ code: 'debugger_refused' }));
  });

  it('refuses a debugger that is open already', () => {
    expect(() => refuseUnsafeEnvironment(FINE, [], 'ws://127.0.0.1:9229/x')).toThrow(expect.objectContaining({ code: 'debugger_refused' }));
  });

  it.each([
    '--heapsnapshot-signal=SIGUSR2', '--heapsnapshot-near-heap-limit=1', '--require', '-r', '--import=./x.js', '--loader', '--experimental-loader=x',
    '--report-on-signal', '--report-on-fatalerror', '--report-uncaught-exception', '--cpu-prof', '--heap-prof', '--tls-keylog=/tmp/k', '--trace-tls',
    '--env-file=.env', '--openssl-config=x', '--tls-min-v1.0', '--insecure-http-parser', '--abort-on-uncaught-exception', '--expose-internals', '-e', '--no-such-flag-yet',
  ])('refuses %s', (flag) => {
    expect(() => refuseUnsafeEnvironment(FINE, [flag, 'value'], undefined)).toThrow(
      expect.objectContaining({ code: 'unsafe_environment', message: expect.stringContaining(flag.replace(/=.*/, '')) }),
    );
  });

  it('takes flags that only bound or tighten', () => {
    expect(refuseUnsafeEnvironment(FINE, ['--disable-sigusr1', '--max-old-space-size=256', '--no-warnings', '--jitless', '--disable-proto=throw'], undefined)).toEqual([]);
  });
});

describe('hardening by a fake library', () => {
  const calls = (answer: (declaration: string, args: readonly NativeArgument[]) => number) => {
    const seen: (readonly unknown[])[] = [];
    return { seen, native: (platform: 'linux' | 'darwin') => ({ platform, call: (declaration: string, ...args: readonly NativeArgument[]) => {
      seen.push([/ (\w+)\(/.exec(declaration)?.[1], ...args.map((arg) => (arg instanceof Uint8Array ? [...arg] : arg))]);
      return answer(declaration, args);
    } }) };
  };
  const none = Array.from({ length: 16 }, () => 0);

  it('forbids cores and debuggers on macOS', () => {
    const { seen, native } = calls(() => 0);
    hardenDarwin(native('darwin'));
    expect(seen).toEqual([['setrlimit', 4, none], ['ptrace', 31, 0, null, 0]]);
    expect(() => hardenDarwin(calls((declaration) => (declaration.includes('ptrace') ? -1 : 0)).native('darwin'))).toThrow(/EPERM/);
  });

  it.each([
    ['setrlimit', () => -1], ['prctl', () => -1], ['prctl', (args: readonly NativeArgument[]) => (args[0] === 3 ? 1 : 0)],
  ])('does not go on where Linux refuses %s', (name, answer) => {
    const { native } = calls((declaration, args) => (declaration.includes(name) ? answer(args) : 0));
    expect(() => hardenLinux(native('linux'))).toThrow(expect.objectContaining({ code: 'unsafe_environment' }));
  });
});
