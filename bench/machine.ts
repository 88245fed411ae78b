/** What a reader has to know of the machine, and a warning where it is too busy for figures to mean much. */
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type as system } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export type Machine = {
  readonly processor: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly kernel: string;
  /** Of the daemon and the floors. */
  readonly node: string;
  readonly filesystem: string;
  /** Load average of the minute before, which the build is a part of. */
  readonly loadBefore: number;
  /** Share of the processors that others used in the second before, when nothing of ours ran. */
  readonly busyBefore: number;
};

/** Numbers of linux/magic.h. */
const FILESYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'], [0x58465342, 'xfs'], [0x9123683e, 'btrfs'], [0x01021994, 'tmpfs'], [0x794c7630, 'overlayfs'], [0x2fc12fc1, 'zfs'],
]);
const LOOK_MS = 1_000;
/** More means that something else runs here. */
const BUSY = 0.1;

export function filesystemOf(directory: string): string {
  const { type } = statfsSync(directory);
  return FILESYSTEMS.get(type) ?? `0x${type.toString(16)}`;
}

export async function describeMachine(node: string, directory: string): Promise<Machine> {
  const processors = cpus();
  return {
    processor: (processors[0]?.model ?? 'unknown').replace(/\s+/g, ' ').trim(),
    cores: processors.length,
    memoryMb: Math.round(totalmem() / 1024 ** 2),
    kernel: `${system()} ${release()}`,
    node: execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().replace(/^v/, ''),
    filesystem: filesystemOf(directory),
    loadBefore: loadavg()[0] ?? 0,
    busyBefore: await busyShare(LOOK_MS),
  };
}

export function warningsOf(machine: Machine): readonly string[] {
  return [
    ...(machine.busyBefore > BUSY ? [`the machine was busy before the run (${Math.round(100 * machine.busyBefore)} % of ${machine.cores} cores): the figures are those of a race for the processor`] : []),
    ...(machine.filesystem === 'tmpfs' ? ['the private directory is on tmpfs, where a sync costs nothing: use --dir for durable writes'] : []),
    ...(machine.cores < 4 ? [`with ${machine.cores} cores the load generator, the daemon and the issuer share them; so do all peers`] : []),
  ];
}

function cpuTimes(): { readonly idle: number; readonly total: number } {
  const all = cpus().map(({ times }) => ({ idle: times.idle, total: times.user + times.nice + times.sys + times.idle + times.irq }));
  return { idle: all.reduce((sum, { idle }) => sum + idle, 0), total: all.reduce((sum, { total }) => sum + total, 0) };
}

/** How busy all processors together are, between 0 and 1, while this process waits. */
async function busyShare(forMs: number): Promise<number> {
  const before = cpuTimes();
  await sleep(forMs);
  const after = cpuTimes();
  return 1 - (after.idle - before.idle) / Math.max(1, after.total - before.total);
}
