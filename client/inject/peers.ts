/**
 * Which process is at the other end of a TCP connection on this machine: the kernel's table of connections names the
 * socket, and the one who holds it has it among its descriptors (proc_net(5), proc_pid_fd(5)). Linux alone.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const ESTABLISHED = '01';

/** 127.0.0.1 as the table has it: the number in the machine's own order, which is that of x86 and ARM. */
const hexOf = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;

/** The inode of the socket on 127.0.0.1 that has `from` as its own port and is connected to `to`; null: this user has none such. */
export function socketInode(table: string, from: number, to: number, uid: number): string | null {
  for (const line of table.split('\n')) {
    const [, local, remote, state, , , , owner, , inode] = line.trim().split(/\s+/);
    if (local === hexOf(from) && remote === hexOf(to) && state === ESTABLISHED && Number(owner) === uid) return inode === '0' ? null : inode ?? null;
  }
  return null;
}

/** All that descend from `root`, without it. Whoever let its parent die is nobody's here. */
function descendantsOf(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? parentOf(name) : null;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  for (let left = children.get(root) ?? []; left.length > 0; left = left.flatMap((pid) => children.get(pid) ?? [])) found.push(...left);
  return found;
}

function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null; // it has ended
  }
}

function holds(pid: number, link: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((descriptor) => linkOf(`/proc/${pid}/fd/${descriptor}`) === link);
  } catch {
    return false; // it has ended, or lets nobody look at it
  }
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null; // closed since
  }
}

/** Whether a process that descends from `root` holds the end of the connection that has `from` as its port, to `to` here. */
export function isFromBelow(root: number, from: number, to: number): boolean {
  const inode = socketInode(readFileSync('/proc/net/tcp', 'latin1'), from, to, process.getuid?.() ?? -1);
  return inode !== null && descendantsOf(root).some((pid) => holds(pid, `socket:[${inode}]`));
}
