/**
 * The lines that a pinentry is spoken to in: Assuan, the protocol of GnuPG's helpers. What is sent is escaped; what
 * comes is one of the few lines that may come, or nonsense. Pure.
 */

/** With its end; the protocol allows no longer one. */
export const LINE_MAX = 1000;

/** A command of which every character stays text: `%`, line ends, and a backslash, which the protocol keeps for the end of a line. */
export function commandLine(name: string, argument: string | null): string {
  if (argument === null) return `${name}\n`;
  const escaped = argument.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('\\', '%5C');
  return `${name} ${escaped}\n`;
}

/** Fits the protocol: it counts bytes. */
export function isSendable(line: string): boolean {
  return Buffer.byteLength(line) <= LINE_MAX;
}

export type Reply =
  | { readonly kind: 'ok' }
  /** The code of libgpg-error, without its source. */
  | { readonly kind: 'error'; readonly code: number }
  | { readonly kind: 'bytes'; readonly text: string }
  /** A comment or a status, which says nothing that matters here. */
  | { readonly kind: 'aside' }
  | { readonly kind: 'nonsense' };

/** @param line - without its end */
export function readReply(line: string): Reply {
  if (line === 'OK' || line.startsWith('OK ')) return { kind: 'ok' };
  if (line.startsWith('#') || line.startsWith('S ')) return { kind: 'aside' };
  if (line.startsWith('D ')) {
    const text = decoded(line.slice(2));
    return text === null ? { kind: 'nonsense' } : { kind: 'bytes', text };
  }
  const code = /^ERR (\d{1,10})(?: |$)/.exec(line)?.[1];
  // gpg-error.h: the source of the error stands above the lower 16 bits.
  return code === undefined ? { kind: 'nonsense' } : { kind: 'error', code: Number(code) % 0x1_0000 };
}

/** Null where an escape is none, or what comes out is no UTF-8. */
function decoded(text: string): string | null {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return null;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    if (cause instanceof URIError) return null;
    throw cause;
  }
}

/** gpg-error.h. */
export const GPG_ERR = { TIMEOUT: 62, CANCELED: 99, NOT_CONFIRMED: 114, FULLY_CANCELED: 198 } as const;
