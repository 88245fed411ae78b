/**
 * The calls on Unix sockets that Node does not have: datagrams, descriptors that travel with them, pairs, and
 * questions about a socket that somebody else made. Linux; the numbers are those of asm-generic/socket.h.
 */
import { constants as os } from 'node:os';
import type { Native } from './native.ts';

const SOCKET = 'int socket(int, int, int)';
const BIND = 'int bind(int, const void *, unsigned int)';
const LISTEN = 'int listen(int, int)';
const SOCKETPAIR = 'int socketpair(int, int, int, void *)';
const CLOSE = 'int close(int)';
const SEND = 'long send(int, const void *, size_t, int)';
const RECV = 'long recv(int, void *, size_t, int)';
const SENDMSG = 'long sendmsg(int, const void *, int)';
const GETSOCKOPT = 'int getsockopt(int, int, int, void *, void *)';
const SETSOCKOPT = 'int setsockopt(int, int, int, const void *, unsigned int)';
const GETSOCKNAME = 'int getsockname(int, void *, void *)';
/** Variadic in C, and on macOS passed as such. */
const FCNTL = 'int fcntl(int, int, ...)';
/** Copies nothing and returns where the first argument is: so a structure can point to a buffer. */
const ADDRESS = 'uintptr_t memcpy(void *, const void *, size_t)';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_SNDTIMEO = 21;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const SCM_RIGHTS = 1;
const MSG_PEEK = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_DUPFD_CLOEXEC = 1030;
/** Until the daemon listens by itself, with a longer one. */
const BACKLOG = 128;
/** struct sockaddr_un: family, path. */
const SUN_PATH = 2;
const SUN_SIZE = 110;
/** Where the parts of a message lie, behind its struct msghdr. */
const VECTOR = 56;
const CONTROL = VECTOR + 16;
const NAME = CONTROL + 24;
const BODY = NAME + 112;

export function closeFd(fd: number, native: Native): void {
  native.call(CLOSE, fd);
}

/** Another descriptor of the same thing, which no program that this process starts gets; minus errno. */
export function copyFd(fd: number, native: Native): number {
  return native.call(FCNTL, fd, F_DUPFD_CLOEXEC, 'int', 0);
}

/** A socket that listens at a path where nothing is, with the mode that the umask leaves; minus errno. */
export function listeningSocket(path: string, native: Native): number {
  const address = unixAddress(path);
  if (address === null) return -os.errno.ENAMETOOLONG;
  const fd = native.call(SOCKET, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const result = native.call(BIND, fd, address, address.length);
  const heard = result < 0 ? result : native.call(LISTEN, fd, BACKLOG);
  if (heard < 0) closeFd(fd, native);
  return heard < 0 ? heard : fd;
}

export type SocketFacts = { readonly isUnix: boolean; readonly type: 'stream' | 'seqpacket' | 'other'; readonly listens: boolean; readonly path: string | null };

/** Null where the descriptor is no socket, or not open. `path` is null for one without a name, and for an abstract one. */
export function socketFacts(fd: number, native: Native): SocketFacts | null {
  const domain = option(fd, SO_DOMAIN, native);
  const type = option(fd, SO_TYPE, native);
  if (domain === null || type === null) return null;
  return {
    isUnix: domain === AF_UNIX,
    type: type === SOCK_STREAM ? 'stream' : type === SOCK_SEQPACKET ? 'seqpacket' : 'other',
    listens: option(fd, SO_ACCEPTCONN, native) === 1,
    path: domain === AF_UNIX ? pathOf(fd, native) : null,
  };
}

function option(fd: number, name: number, native: Native): number | null {
  const value = new Int32Array(1);
  const length = new Uint32Array([value.byteLength]);
  const result = native.call(GETSOCKOPT, fd, SOL_SOCKET, name, new Uint8Array(value.buffer), new Uint8Array(length.buffer));
  return result < 0 ? null : value[0] ?? null;
}

function pathOf(fd: number, native: Native): string | null {
  const address = Buffer.alloc(SUN_SIZE);
  const length = new Uint32Array([address.length]);
  if (native.call(GETSOCKNAME, fd, address, new Uint8Array(length.buffer)) < 0) return null;
  const path = address.subarray(SUN_PATH, length[0]);
  const end = path.indexOf(0);
  const text = path.subarray(0, end < 0 ? path.length : end).toString();
  return text === '' ? null : text;
}

/** A pair of connected sockets that keeps messages apart; minus errno where there is none. */
export function packetPair(native: Native): readonly [number, number] | number {
  const pair = new Int32Array(2);
  const result = native.call(SOCKETPAIR, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, new Uint8Array(pair.buffer));
  const [near, far] = pair;
  return result < 0 || near === undefined || far === undefined ? result : [near, far];
}

/** @returns minus errno, or how many bytes went. */
export function sendBytes(fd: number, bytes: Uint8Array, native: Native): number {
  return native.call(SEND, fd, bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/** Fills `into` with the first message of the queue, and leaves it there if asked to. @returns its length, 0 at the end, minus errno. */
export function receiveBytes(fd: number, into: Uint8Array, stays: boolean, native: Native): number {
  return native.call(RECV, fd, into, into.length, MSG_DONTWAIT | (stays ? MSG_PEEK : 0));
}

/** A socket for datagrams that waits this long at most for whoever reads them; minus errno. */
export function datagramSocket(waitS: number, native: Native): number {
  const fd = native.call(SOCKET, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) native.call(SETSOCKOPT, fd, SOL_SOCKET, SO_SNDTIMEO, new Uint8Array(new BigInt64Array([BigInt(waitS), 0n]).buffer), 16);
  return fd;
}

/** sockaddr_un of a path, or of an abstract name, which sd_notify(3) writes with an @ for its NUL. Null for what is neither. */
export function unixAddress(name: string): Uint8Array | null {
  const isAbstract = name.startsWith('@');
  if (!isAbstract && !name.startsWith('/')) return null;
  const path = Buffer.from(isAbstract ? `\0${name.slice(1)}` : `${name}\0`);
  const address = Buffer.alloc(SUN_PATH + path.length);
  address.writeUInt16LE(AF_UNIX);
  path.copy(address, SUN_PATH);
  return address.length > SUN_SIZE ? null : address;
}

/**
 * sendmsg(2), with a descriptor along if there is one. The structures point to each other by address, so all lie in
 * one buffer, which lives as long as the call. @returns minus errno, or how many bytes went.
 */
export function sendDatagram(fd: number, address: Uint8Array, text: string, along: number | null, native: Native): number {
  const body = Buffer.from(text);
  const message = Buffer.alloc(BODY + body.length);
  // Addresses have 48 bits, which a number holds exactly; Node keeps buffers outside of the heap, where nothing moves them.
  const start = native.call(ADDRESS, message, message, 0);
  const pointer = (to: number, at: number): unknown => message.writeBigUInt64LE(BigInt(start + to), at);
  const size = (bytes: number, at: number): unknown => message.writeBigUInt64LE(BigInt(bytes), at);
  // struct msghdr of 64-bit Linux: name, its length, vector, its length, control, its length, flags.
  pointer(NAME, 0);
  size(address.length, 8);
  pointer(VECTOR, 16);
  size(1, 24);
  pointer(BODY, VECTOR);
  size(body.length, VECTOR + 8);
  if (along !== null) {
    pointer(CONTROL, 32);
    size(24, 40);
    // struct cmsghdr: length, level, type; then the descriptor, padded to eight bytes (cmsg(3)).
    size(20, CONTROL);
    message.writeInt32LE(SOL_SOCKET, CONTROL + 8);
    message.writeInt32LE(SCM_RIGHTS, CONTROL + 12);
    message.writeInt32LE(along, CONTROL + 16);
  }
  message.set(address, NAME);
  message.set(body, BODY);
  return native.call(SENDMSG, fd, message, MSG_NOSIGNAL);
}
