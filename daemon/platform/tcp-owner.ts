/**
 * Whose a TCP connection on loopback is (LB-10): the uid of the client's end, from the kernel's socket table.
 * Reading it needs no privilege, and works in a process that may not be dumped.
 */
import { createReadStream } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { endianness } from 'node:os';
import { createInterface } from 'node:readline';

export type TcpEnd = { readonly address: string; readonly port: number };

const TABLES = ['/proc/thread-self/net/tcp', '/proc/thread-self/net/tcp6'];
/** A table that changes while it is read may leave out a row. */
const ATTEMPTS = 2;

/**
 * Null where the kernel does not tell: the connection is gone, its client has closed its end, or this system
 * has no such table (macOS). Null is not "ours": whoever asks refuses.
 */
export async function ownerOf(client: TcpEnd, server: TcpEnd, tables: readonly string[] = TABLES): Promise<number | null> {
  const local = keyOf(client);
  const remote = keyOf(server);
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    for (const table of tables) {
      const owner = await searchTable(table, local, remote);
      if (owner !== null) return owner;
    }
  }
  return null;
}

/** Line by line: other users decide how long the table is. */
async function searchTable(path: string, local: string, remote: string): Promise<number | null> {
  const input = createReadStream(path);
  const lines = createInterface({ input });
  try {
    for await (const line of lines) {
      const row = parseRow(line);
      if (row?.local === local && row.remote === remote) return row.uid;
    }
    return null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  } finally {
    lines.close();
    input.destroy();
  }
}

/** No IPv6 in this kernel, no such table on this system, or a sandbox that hides it. */
function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
}

/** Columns of proc_pid_net(5): sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode. */
function parseRow(line: string): { readonly local: string; readonly remote: string; readonly uid: number } | null {
  const [, local, remote, , , , , uid, , inode] = line.trim().split(/\s+/);
  if (local === undefined || remote === undefined || uid === undefined || !/^\d+$/.test(uid)) return null;
  // A socket that its process has closed has no inode and shows uid 0, whoever it belonged to.
  if (inode === undefined || inode === '0') return null;
  return { local: unmapped(local), remote: unmapped(remote), uid: Number(uid) };
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

function unmapped(key: string): string {
  return key.startsWith(MAPPED) ? key.slice(MAPPED.length) : key;
}

function bytesOfIPv6(address: string): readonly number[] {
  const [head, tail] = (address.split('%')[0] ?? '').split('::').map(
    (part) => part.split(':').filter((group) => group !== '').map((group) => Number.parseInt(group, 16)),
  );
  const first = head ?? [];
  const last = tail ?? [];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  return [...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 0xff]);
}
