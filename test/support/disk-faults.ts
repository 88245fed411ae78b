/**
 * A disk whose n-th call fails: compiles disk-faults.c and loads it into one daemon. The daemon refuses LD_* in
 * its environment (PH-01), so it is started through the dynamic loader itself, which takes the library as an
 * argument (ld.so(8), --preload) and leaves the environment alone. An attacker who can choose that command line
 * can start any program under the daemon's name: the check of the environment is not weakened by it.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdtempSync, openSync, readSync, realpathSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Uid } from './disk-person.ts';
import { NOBODY, openRig, rigObstacle } from './disk-rig.ts';
import type { Rig } from './disk-rig.ts';

const SOURCE = fileURLToPath(new URL('disk-faults.c', import.meta.url));
const PAGE = { match: 32, trace: 128, name: 64, traced: 400, size: 128 + 400 * 64 } as const;

/** Fails without doing it; does it and says that it failed; writes a half; waits, then does it. */
export type How = 'fail' | 'done_but_failed' | 'short' | 'hang';
const HOW: Readonly<Record<How, number>> = { fail: 0, short: 1, hang: 2, done_but_failed: 3 };

export type Fault = {
  /** Part of a path. */
  readonly match: string;
  /** The calls that fail, counted from 1; 0 counts and fails none. */
  readonly first: number;
  readonly last?: number;
  readonly how?: How;
  readonly errno?: 'EIO' | 'ENOSPC' | 'EINTR' | 'EROFS' | 'EDQUOT';
  readonly hangMs?: number;
};

export type DiskFaults = {
  readonly through: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  arm(fault: Fault): void;
  /** What was seen since arm(): every call by name and file, and how many failed. */
  disarm(): { readonly calls: readonly string[]; readonly struck: number };
  remove(): void;
};

/** A rig on such a disk; null, and the reason printed, where none can be made. */
export async function openFaultyRig(): Promise<{ readonly rig: Rig; readonly faults: DiskFaults } | null> {
  const obstacle = rigObstacle();
  const faults = obstacle === null ? diskFaults(NOBODY) : { obstacle };
  if ('obstacle' in faults) {
    console.log(`not run: ${faults.obstacle}`);
    return null;
  }
  return { rig: await openRig({ through: faults.through, env: faults.env }), faults };
}

function diskFaults(as: Uid): DiskFaults | { readonly obstacle: string } {
  if (process.platform !== 'linux') return { obstacle: 'a disk that fails by a preloaded library is made on Linux only' };
  const loader = loaderOf(process.execPath);
  if (loader === null) return { obstacle: `${process.execPath} names no dynamic loader` };
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'vk-faults-')));
  chmodSync(dir, 0o755);
  const library = join(dir, 'disk-faults.so');
  const compiled = spawnSync('cc', ['-Wall', '-Wextra', '-Werror', '-O1', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl'], { encoding: 'utf8' });
  if (compiled.status !== 0) {
    rmSync(dir, { recursive: true });
    return { obstacle: `no C compiler: ${compiled.error?.message ?? compiled.stderr}` };
  }
  const page = join(dir, 'page');
  writeFileSync(page, Buffer.alloc(PAGE.size), { mode: 0o600 });
  if (as.uid !== undefined) chownSync(page, as.uid, as.gid ?? as.uid);
  const fd = openSync(page, 'r+');
  const put = (at: number, value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    writeSync(fd, bytes, 0, 4, at);
  };
  return {
    through: [loader, '--preload', library],
    env: { DISK_FAULTS: page },
    arm({ match, first, last = first, how = 'fail', errno = 'EIO', hangMs = 0 }) {
      put(0, 0);
      const header = Buffer.alloc(PAGE.size);
      [0, first, last, HOW[how], constants.errno[errno], hangMs, 0, 0].forEach((value, i) => header.writeInt32LE(value, 4 * i));
      header.write(match, PAGE.match, PAGE.trace - PAGE.match - 1);
      writeSync(fd, header, 0, header.length, 0);
      put(0, 1);
    },
    disarm() {
      put(0, 0);
      const bytes = Buffer.alloc(PAGE.size);
      readSync(fd, bytes, 0, bytes.length, 0);
      const seen = Math.min(bytes.readUInt32LE(24), PAGE.traced);
      const calls = Array.from({ length: seen }, (_, i) => bytes.toString('utf8', PAGE.trace + i * PAGE.name, PAGE.trace + (i + 1) * PAGE.name).replace(/\0.*/s, ''));
      return { calls, struck: bytes.readUInt32LE(28) };
    },
    remove() {
      closeSync(fd);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** What the kernel starts for this program (PT_INTERP): a path near the beginning of the file. */
function loaderOf(program: string): string | null {
  const fd = openSync(program, 'r');
  const bytes = Buffer.alloc(4096);
  readSync(fd, bytes, 0, bytes.length, 0);
  closeSync(fd);
  return /\/[\w./-]*\/ld-[\w.-]+/.exec(bytes.toString('latin1'))?.[0] ?? null;
}
