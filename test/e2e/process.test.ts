/**
 * Hardening as facts of real processes, seen from outside by the same unprivileged user. Each attack is first
 * shown to work where the protection is off.
 */
import type { ChildProcess } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildPlatform, finished, firstLine, kill, UNPRIVILEGED } from '../support/built-platform.ts';
import type { Built } from '../support/built-platform.ts';

const built: Built = buildPlatform();
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
});
afterAll(() => { built.remove(); });

if (built.obstacle !== null) console.warn(`not run: ${built.obstacle}`);
/** One question and its answer: what the child had to do before, it has done. */
function ask(child: ChildProcess): Promise<string> {
  const answer = firstLine(child);
  child.stdin?.write('?\n');
  return answer;
}

const ENV = { PATH: process.env['PATH'] ?? '' };

describe.skipIf(built.obstacle !== null)('the environment and flags of a start', () => {
  const start = `
    import './daemon/platform/sigusr1.js';
    import { refuseUnsafeEnvironment } from './daemon/platform/harden.js';
    try {
      console.log('warnings', JSON.stringify(refuseUnsafeEnvironment(process.env, process.execArgv)));
    } catch (error) {
      console.log(error.code, error.message, error.hint);
      process.exit(8);
    }
  `;
  let loot: string;
  beforeAll(() => {
    loot = built.makeDir();
    writeFileSync(join(built.dir, 'evil.cjs'), '');
    writeFileSync(join(built.dir, 'openssl.cnf'), '');
  });

  it.each([
    ['NODE_OPTIONS', () => `--require=${join(built.dir, 'evil.cjs')}`],
    ['NODE_PATH', () => built.dir],
    ['LD_PRELOAD', () => 'libc.so.6'],
    ['LD_LIBRARY_PATH', () => built.dir],
    ['DYLD_INSERT_LIBRARIES', () => 'x.dylib'],
    ['SSLKEYLOGFILE', () => join(loot, 'keys')],
    ['NODE_TLS_REJECT_UNAUTHORIZED', () => '0'],
    ['NODE_REPL_EXTERNAL_MODULE', () => join(built.dir, 'evil.cjs')],
    ['NODE_V8_COVERAGE', () => join(loot, 'coverage')],
    ['NODE_COMPILE_CACHE', () => join(loot, 'cache')],
    ['OPENSSL_CONF', () => join(built.dir, 'openssl.cnf')],
  ])('refuses %s', async (name, value) => {
    const { code, stdout } = await built.run(start, { env: { ...ENV, [name]: value() }, ...UNPRIVILEGED });
    expect(stdout).toContain(`unsafe_environment the environment holds ${name}`);
    expect(code).toBe(8);
  });

  it('starts without them (control), and warns of a CA file that it does not use', async () => {
    const { code, stdout } = await built.run(start, { env: { ...ENV, NODE_EXTRA_CA_CERTS: join(built.dir, 'none.pem') }, ...UNPRIVILEGED });
    expect(stdout).toContain('NODE_EXTRA_CA_CERTS is ignored');
    expect(code).toBe(0);
  });

  it.each([
    ['--inspect=127.0.0.1:0', 'debugger_refused'],
    ['--inspect-port=0', 'debugger_refused'],
    ['--heapsnapshot-signal=SIGUSR2', 'unsafe_environment'],
    ['--report-on-signal', 'unsafe_environment'],
    ['--require=./evil.cjs', 'unsafe_environment'],
    ['--import=./evil.cjs', 'unsafe_environment'],
  ])('refuses %s', async (flag, refusal) => {
    const { code, stdout } = await built.run(start, { env: ENV, flags: [flag], ...UNPRIVILEGED });
    expect(stdout).toContain(refusal);
    expect(code).toBe(8);
  });
});

describe.skipIf(built.obstacle !== null)('a debugger by signal', () => {
  // Port 0: another debugger on this machine must not make the test pass.
  const victim = (first: string): string => `
    ${first}
    import { url } from 'node:inspector';
    process.stdin.on('data', () => console.log('inspector', url() ?? 'closed'));
    console.log('ready');
  `;

  async function signalled(source: string): Promise<string> {
    const child = built.start(source, { flags: ['--inspect-port=0'], env: ENV, ...UNPRIVILEGED });
    children.push(child);
    await firstLine(child);
    const stderr: string[] = [];
    const seen = new Promise<void>((resolve) => {
      child.stderr?.on('data', (data) => { stderr.push(String(data)); resolve(); });
    });
    child.kill('SIGUSR1');
    // The control speaks on stderr; the protected one has had time to when it has answered three questions.
    if (source.includes('sigusr1')) for (let i = 0; i < 3; i += 1) await ask(child);
    else await seen;
    return `${await ask(child)} ${stderr.join('')}`;
  }

  it('opens without the handler (control)', async () => {
    expect(await signalled(victim(''))).toMatch(/inspector ws:.*Debugger listening/s);
  });

  it('[PH-02] stays closed when the handler is the first import', async () => {
    const seen = await signalled(victim("import './daemon/platform/sigusr1.js';"));
    expect(seen).toMatch(/^inspector closed $/);
  });

  it('[PH-02] is seen by the daemon where it is open, by signal or otherwise', async () => {
    const { stdout } = await built.run(`
      import { open } from 'node:inspector';
      import { refuseUnsafeEnvironment, urlOfDebugger } from './daemon/platform/harden.js';
      console.log(urlOfDebugger() ?? 'none');
      open(0);
      console.log(urlOfDebugger());
      try { refuseUnsafeEnvironment({}, []); } catch (error) { console.log(error.code); }
    `, { env: ENV, ...UNPRIVILEGED });
    expect(stdout).toMatch(/^none\nws:.*\ndebugger_refused\n$/);
  });
});

const HARDEN = "import { hardenProcess } from './daemon/platform/harden.js'; hardenProcess();";

function victim(first: string): string {
  return `
    ${first}
    process.stdin.on('data', (data) => {
      if (String(data) !== '?\\n') process.kill(process.pid, String(data).trim());
      console.log('alive');
    });
    console.log('ready');
  `;
}

async function startVictim(first: string, options: { cwd?: string; flags?: readonly string[] } = {}): Promise<ChildProcess> {
  const child = built.start(victim(first), { env: { ...ENV, CANARY: 'canary-EXAMPLE' }, ...UNPRIVILEGED, ...options });
  children.push(child);
  await firstLine(child);
  return child;
}

/** What makes this machine write cores into the working directory; else the control has nothing to find. */
function coreObstacle(): string | null {
  const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
  if (pattern.startsWith('|') || pattern.includes('/')) return `kernel.core_pattern is ${pattern}`;
  const limit = /^Max core file size +\S+ +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === 'unlimited' ? null : `the hard limit of cores is ${limit}`;
}

describe.skipIf(built.obstacle !== null)('memory that leaves by a crash', () => {
  const obstacle = coreObstacle();
  if (obstacle !== null) console.warn(`core files are not looked for: ${obstacle}`);

  /** Files that the crash left. */
  async function crash(first: string, signal: string): Promise<{ signal: string | null; files: readonly string[] }> {
    const cwd = built.makeDir();
    const child = built.start(victim(`process.chdir(${JSON.stringify(cwd)});\n${first}`), {
      env: ENV, cwd: built.dir, ...UNPRIVILEGED,
    });
    children.push(child);
    await firstLine(child);
    const done = finished(child);
    child.stdin?.write(`${signal}\n`);
    return { signal: (await done).signal, files: readdirSync(cwd) };
  }

  it.skipIf(obstacle !== null).each(['SIGSEGV', 'SIGABRT'])('leaves a core at %s without hardening (control)', async (signal) => {
    // Soft limit up to the hard one, by the same call that hardening uses.
    const raise = `
      import { loadNative } from './daemon/platform/native.js';
      loadNative().call('int setrlimit(int, const void *)', 4, new Uint8Array(16).fill(255));
    `;
    const { files } = await crash(raise, signal);
    expect(files.filter((name) => name.startsWith('core'))).toHaveLength(1);
  }, 60_000);

  it.each(['SIGSEGV', 'SIGABRT'])('[PH-03] leaves no core and no report at %s', async (signal) => {
    expect(await crash(HARDEN, signal)).toEqual({ signal, files: [] });
  });

  it('[PH-03] has no core limit left, no new privileges, and a umask of 077', async () => {
    const child = await startVictim(HARDEN);
    expect(readFileSync(`/proc/${child.pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
    expect(readFileSync(`/proc/${child.pid}/status`, 'utf8')).toMatch(/^Umask:\t0077$[^]*^NoNewPrivs:\t1$/m);
  });

  it.each([
    ['without hardening (control)', '', 1],
    ['[PH-03] never when hardened', HARDEN, 0],
  ])('writes a diagnostic report at SIGUSR2 %s', async (_, first, reports) => {
    const cwd = built.makeDir();
    const child = await startVictim(first, { cwd, flags: ['--report-on-signal', `--report-directory=${cwd}`] });
    child.kill('SIGUSR2');
    // Either a report appears, or the signal has its usual effect and ends the process.
    while (readdirSync(cwd).length === 0 && child.signalCode === null) await setTimeout(10);
    expect(readdirSync(cwd).filter((name) => name.startsWith('report'))).toHaveLength(reports);
  });
});

describe.skipIf(built.obstacle !== null)('memory that another process of the same user reads', () => {
  /** Reads what only a tracer may read, and prints what it got. */
  const thief = (pid: number): string => `
    import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
    const attempt = (name, steal) => { try { console.log(name, steal()); } catch (error) { console.log(name, error.code); } };
    attempt('environ', () => readFileSync('/proc/${pid}/environ', 'utf8').includes('canary-EXAMPLE') ? 'STOLEN' : 'other');
    attempt('fd', () => readdirSync('/proc/${pid}/fd').length > 0 ? 'STOLEN' : 'other');
    attempt('mem', () => {
      const start = /^([0-9a-f]+)-\\S+ r/m.exec(readFileSync('/proc/${pid}/maps', 'utf8'))[1];
      const memory = openSync('/proc/${pid}/mem', 'r');
      const bytes = Buffer.alloc(4);
      readSync(memory, bytes, 0, 4, BigInt('0x' + start));
      closeSync(memory);
      return bytes.toString('latin1') === '\\x7fELF' ? 'STOLEN' : 'other';
    });
    attempt('mem open', () => { closeSync(openSync('/proc/${pid}/mem', 'r')); return 'STOLEN'; });
  `;

  async function steal(first: string): Promise<readonly string[]> {
    const child = await startVictim(first);
    const { stdout } = await built.run(thief(child.pid ?? 0), { env: ENV, ...UNPRIVILEGED });
    return stdout.trim().split('\n');
  }

  it('is had for the asking without hardening (control)', async () => {
    expect(await steal('')).toEqual(['environ STOLEN', 'fd STOLEN', 'mem STOLEN', 'mem open STOLEN']);
  });

  it('[PH-03] is denied when hardened', async () => {
    expect(await steal(HARDEN)).toEqual(['environ EACCES', 'fd EACCES', 'mem EACCES', 'mem open EACCES']);
  });

  /** As a debugger would: attaches, and copies without attaching. The iovec for the copy points nowhere, so that what was let in ends in EFAULT. */
  const tracer = (pid: number): string => `
    import { getSystemErrorName } from 'node:util';
    import { loadNative } from './daemon/platform/native.js';
    const native = loadNative();
    const told = (result) => (result < 0 ? getSystemErrorName(result) : 'ok');
    const iovec = () => new Uint8Array(new BigUint64Array([16n, 4n]).buffer);
    console.log('copy', told(native.call('long process_vm_readv(int, void *, unsigned long, void *, unsigned long, unsigned long)', ${pid}, iovec(), 1, iovec(), 1, 0)));
    console.log('attach', told(native.call('long ptrace(long, int, void *, void *)', 16, ${pid}, null, null)));
  `;

  it.each([
    ['is traced and copied from without hardening (control)', '', ['copy EFAULT', 'attach ok']],
    ['[PH-04] is neither traced nor copied from when hardened', HARDEN, ['copy EPERM', 'attach EPERM']],
  ])('%s', async (_, first, told) => {
    const child = await startVictim(first);
    const { stdout, stderr } = await built.run(tracer(child.pid ?? 0), { env: ENV, ...UNPRIVILEGED });
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n')).toEqual(told);
  });
});

describe.skipIf(built.obstacle !== null)('a hardened, unprivileged process', () => {
  it('still finds the owner of a connection, takes its lock, reads its clock and asks for its peer', async () => {
    const own = built.makeDir();
    const { stdout, stderr } = await built.run(`
      import { hardenProcess } from './daemon/platform/harden.js';
      import { createClock } from './daemon/platform/clock.js';
      import { tryLock } from './daemon/platform/lock.js';
      import { ensurePrivateDir } from './daemon/platform/private-dir.js';
      import { peerOf } from './daemon/platform/peer.js';
      import { ownerOf } from './daemon/platform/tcp-owner.js';
      import { connect, createServer } from 'node:net';
      import { once } from 'node:events';
      import { readFileSync, statSync } from 'node:fs';
      hardenProcess();
      let denied = 'readable'; try { readFileSync('/proc/self/environ'); } catch (error) { denied = error.code; }
      ensurePrivateDir(${JSON.stringify(join(own, 'run'))}, process.getuid());
      const lock = tryLock(${JSON.stringify(join(own, 'run/lock'))});
      const tcp = createServer().listen(0, '127.0.0.1'); await once(tcp, 'listening');
      const accepted = once(tcp, 'connection');
      const client = connect(tcp.address().port, '127.0.0.1');
      const [socket] = await accepted;
      const owner = await ownerOf({ address: socket.remoteAddress, port: socket.remotePort }, { address: socket.localAddress, port: socket.localPort });
      const unix = createServer().listen(${JSON.stringify(join(own, 'run/socket'))}); await once(unix, 'listening');
      const asked = once(unix, 'connection');
      connect(${JSON.stringify(join(own, 'run/socket'))});
      const [asking] = await asked;
      const peer = peerOf(asking._handle.fd);
      const mode = (statSync(${JSON.stringify(join(own, 'run/socket'))}).mode & 0o777).toString(8);
      console.log(JSON.stringify({ uid: process.getuid(), denied, owner, held: lock !== null, boot: createClock().boottimeMs() > 0, same: peer.pid === process.pid, peer: peer.uid, mode }));
      process.exit();
    `, { env: ENV, ...UNPRIVILEGED });
    const uid = UNPRIVILEGED.uid ?? process.getuid?.();
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ uid, denied: 'EACCES', owner: uid, held: true, boot: true, same: true, peer: uid, mode: '700' });
  });
});

describe.skipIf(process.getuid?.() !== 0 || built.obstacle !== null)('a private directory that another user planted', () => {
  it('is refused by the user it was planted for', async () => {
    const planted = join(built.makeDir(), 'run');
    mkdirSync(planted, { mode: 0o700 });
    chownSync(planted, 0, 0);
    const { stdout } = await built.run(`
      import { ensurePrivateDir } from './daemon/platform/private-dir.js';
      try { ensurePrivateDir(${JSON.stringify(planted)}, process.getuid()); console.log('taken'); } catch (error) { console.log(error.code, error.message); }
    `, { env: ENV, ...UNPRIVILEGED });
    expect(stdout).toContain(`runtime_dir_untrusted ${planted} is owned by uid 0`);
  });
});
