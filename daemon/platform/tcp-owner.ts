/**
 * Whose a TCP connection on loopback is (LB-10): the uid of the client's end, from the kernel's socket table.
 * Reading it needs no privilege, and works in a process that may not be dumped.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { endianness } from 'node:os';
import { setImmediate } from 'node:timers/promises';

export type TcpEnd = { readonly address: string; readonly port: number };

const TABLES = ['/proc/thread-self/net/tcp', '/proc/thread-self/net/tcp6'];
/** A table that changes while it is read may leave out a row. */
const ATTEMPTS = 2;
/** The kernel gives some 4 KiB a read; other users decide how many there are, so others get a turn between. */
const READS_A_TURN = 64;

/**
 * Null where the kernel does not tell: the connection is gone, its client has closed its end, or this system
 * has no such table (macOS). Null is not "ours": whoever asks refuses.
 */
export async function ownerOf(client: TcpEnd, server: TcpEnd, tables: readonly string[] = TABLES): Promise<number | null> {
  const [local, remote] = [keyOf(client), keyOf(server)];
  const rows = [`: ${local} ${remote} `, `: ${MAPPED}${local} ${MAPPED}${remote} `];
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    for (const table of tables) {
      const owner = await searchTable(table, rows);
      if (owner !== null) return owner;
    }
  }
  return null;
}

async function searchTable(path: string, rows: readonly string[]): Promise<number | null> {
  const file = openTable(path);
  if (file === null) return null;
  try {
    const buffer = Buffer.alloc(65_536);
    let text = '';
    for (let reads = 1; ; reads += 1) {
      const length = readSync(file, buffer);
      if (length === 0) return null;
      text += buffer.toString('latin1', 0, length);
      const end = text.lastIndexOf('\n') + 1;
      const owner = ownerIn(text.slice(0, end), rows);
      if (owner !== null) return owner;
      text = text.slice(end);
      if (reads % READS_A_TURN === 0) await setImmediate();
    }
  } finally {
    closeSync(file);
  }
}

/** Null: no IPv6 in this kernel, no such table on this system, or a sandbox that hides it. */
function openTable(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES')) return null;
    throw error;
  }
}

function ownerIn(lines: string, rows: readonly string[]): number | null {
  for (const row of rows) {
    for (let at = lines.indexOf(row); at !== -1; at = lines.indexOf(row, at + 1)) {
      const owner = ownerOfRow(lines.slice(at + 2, lines.indexOf('\n', at)));
      if (owner !== null) return owner;
    }
  }
  return null;
}

/** Columns of proc_pid_net(5), from the second on: local, remote, state, queues, timer, retransmits, uid, timeout, inode. */
function ownerOfRow(line: string): number | null {
  const [, , , , , , uid, , inode] = line.trim().split(/\s+/);
  // A socket that its process has closed has no inode and shows uid 0, whoever it belonged to.
  return uid === undefined || !/^\d+$/.test(uid) || inode === undefined || inode === '0' ? null : Number(uid);
}

/** As the table writes it, e.g. 0100007F:1F90. */
function keyOf({ address, port }: TcpEnd): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  const bytes = isIPv4(plain) ? plain.split('.').map(Number) : isIPv6(plain) ? bytesOfIPv6(plain) : [];
  const words = Array.from({ length: bytes.length / 4 }, (_, index) => wordHex(bytes.slice(index * 4, index * 4 + 4)));
  return `${words.join('')}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The kernel prints each 32-bit word of an address as a number, in its own byte order. */
function wordHex(bytes: readonly number[]): string {
  const ordered = endianness() === 'LE' ? bytes.toReversed() : bytes;
  return ordered.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join('');
}

/** ::ffff:0:0/96: an IPv4 connection of an IPv6 socket, as Java makes them. */
const MAPPED = `${'0'.repeat(16)}${wordHex([0, 0, 0xff, 0xff])}`;

function bytesOfIPv6(address: string): readonly number[] {
  const [head, tail] = (address.split('%')[0] ?? '').split('::').map(
    (part) => part.split(':').filter((group) => group !== '').map((group) => Number.parseInt(group, 16)),
  );
  const first = head ?? [];
  const last = tail ?? [];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  return [...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 0xff]);
}
