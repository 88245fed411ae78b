/**
 * Standard output, of which nothing may be lost in silence: Node writes to a file once and does not look how much of
 * it was taken, so on a disk that fills up half a token would pass for a whole one.
 */
import { fstatSync, writeSync } from 'node:fs';
import type { Stream } from './terminal.ts';

const STDOUT = 1;
/** EXIT of shared/errors.ts, whose table the fast entry does not load. */
const EXIT_OK = 0;
const EXIT_INTERNAL = 1;

/**
 * `valetkey … | head` closes the pipe early: nothing is left to say, and nobody to say it to. Any other failure
 * (a full disk) has lost what was asked for, so nobody may take it for done.
 */
export function loseOutput(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(EXIT_OK);
  process.stderr.write(`error: standard output cannot be written (${error.code ?? error.message})\n`);
  process.exit(EXIT_INTERNAL);
}

/** How much could be written without waiting, and what is in the way of the rest. */
export function writeNow(bytes: Uint8Array): { readonly written: number; readonly error: NodeJS.ErrnoException | null } {
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(STDOUT, bytes, written);
    return { written, error: null };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { written, error };
  }
}

function isFile(): boolean {
  try {
    return fstatSync(STDOUT).isFile();
  } catch {
    return false; // closed: Node has put /dev/null in its place
  }
}

export function openStandardOutput(): Stream {
  process.stdout.on('error', loseOutput);
  if (!isFile()) return process.stdout;
  return {
    write(text) {
      const { error } = writeNow(Buffer.from(text));
      if (error !== null) loseOutput(error);
    },
  };
}
