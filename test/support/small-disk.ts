/** A disk that is soon full, or turns read-only, for tests that run as root. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type SmallDisk = { readonly dir: string; remount(option: string): void; remove(): void };

/** @param options - of tmpfs: size=…, nr_inodes=… */
export function smallDisk(options: string): SmallDisk | { readonly obstacle: string } {
  if (process.getuid?.() !== 0) return { obstacle: 'mounting a small disk needs root' };
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-disk-')));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `${options},mode=0700`, 'tmpfs', dir], { encoding: 'utf8' });
  if (mounted.status !== 0) {
    rmdirSync(dir);
    return { obstacle: `no disk could be mounted: ${mounted.stderr.trim()}` };
  }
  return {
    dir,
    remount(option) {
      const { status, stderr } = spawnSync('mount', ['-o', `remount,${option}`, dir], { encoding: 'utf8' });
      if (status !== 0) throw new Error(`${dir} could not be mounted again: ${stderr}`);
    },
    remove() {
      spawnSync('umount', ['--lazy', dir]);
      rmdirSync(dir);
    },
  };
}
