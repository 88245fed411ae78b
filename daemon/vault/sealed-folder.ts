/**
 * A folder of sealed files, NAME.jwe each. A file that does not open under the key (which was proved to be
 * the right one before) or is bound to something else is never deleted: it is renamed NAME.jwe.corrupt-N.
 */
import { join } from 'node:path';
import { BrokerError } from '../core/errors.ts';
import type { Log, Random } from '../core/ports.ts';
import {
  FILE_MAX, listDir, makePrivateDir, onDisk, readPrivate, removeDurable, renameDurable, sweepTemporary, writeDurable,
} from './private-files.ts';
import type { Binding } from './seal.ts';
import { unseal } from './seal.ts';

export type SealedFolderDeps = { readonly dir: string; readonly log: Log; readonly random: Random };

/** A record and what its file must be bound to. */
export type Decode<T> = (payload: Uint8Array) => { readonly record: T; readonly binding: Binding } | null;
export type ReadResult<T> = { readonly kind: 'open'; readonly record: T } | { readonly kind: 'absent' } | { readonly kind: 'damaged' };

const ENDING = '.jwe';
const FILE_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;
const SET_ASIDE = /^(.+)\.jwe\.corrupt-(\d+)$/;

export class SealedFolder {
  readonly dir: string;
  readonly #log: Log;
  readonly #random: Random;

  constructor({ dir, log, random }: SealedFolderDeps) {
    this.dir = dir;
    this.#log = log;
    this.#random = random;
  }

  /** Makes or checks the folder and sweeps what a crash left. */
  prepare(): Promise<void> {
    return onDisk(this.dir, async () => {
      await makePrivateDir(this.dir);
      // @fault vault.folder.made
      await sweepTemporary(this.dir);
      // @fault vault.folder.swept
    });
  }

  async names(ending = ENDING): Promise<readonly string[]> {
    const files = await onDisk(this.dir, () => listDir(this.dir));
    return files.filter((file) => file.endsWith(ending)).map((file) => file.slice(0, -ending.length)).filter((name) => FILE_NAME.test(name));
  }

  /** Names with at least one file set aside. */
  async setAsideNames(): Promise<readonly string[]> {
    const files = await onDisk(this.dir, () => listDir(this.dir));
    return [...new Set(files.flatMap((file) => SET_ASIDE.exec(file)?.[1] ?? []))];
  }

  async readBytes(file: string): Promise<{ readonly text: string; readonly changedAt: number } | null> {
    const path = join(this.dir, file);
    const found = await onDisk(this.dir, () => readPrivate(path));
    if (found?.modeMended === true) this.#log.warn('vault_file_mode_mended', { path });
    return found === null ? null : { text: found.bytes.length > FILE_MAX ? '' : found.bytes.toString('latin1'), changedAt: found.changedAt };
  }

  read<T>(key: Uint8Array, name: string, decode: Decode<T>): Promise<ReadResult<T>> {
    return this.readFile(key, `${name}${ENDING}`, decode);
  }

  async readFile<T>(key: Uint8Array, file: string, decode: Decode<T>): Promise<ReadResult<T>> {
    const found = await this.readBytes(file);
    return found === null ? { kind: 'absent' } : this.open(key, file, found.text, decode);
  }

  async open<T>(key: Uint8Array, file: string, text: string, decode: Decode<T>): Promise<ReadResult<T>> {
    const opened = await unseal(key, text, join(this.dir, file));
    const decoded = opened === null ? null : decode(opened.payload);
    if (opened === null || decoded === null || !opened.isBoundTo(decoded.binding)) return { kind: 'damaged' };
    return { kind: 'open', record: decoded.record };
  }

  write(name: string, sealed: string): Promise<void> {
    return this.writeFile(`${name}${ENDING}`, sealed);
  }

  async writeFile(file: string, text: string): Promise<void> {
    await onDisk(this.dir, () => writeDurable(this.dir, file, Buffer.from(text, 'latin1'), this.#random.token(9)));
  }

  async setAside(name: string): Promise<void> {
    const numbers = (await listDir(this.dir)).flatMap((file) => {
      const match = SET_ASIDE.exec(file);
      return match?.[1] === name ? Number(match[2]) : [];
    });
    const file = `${name}${ENDING}`;
    const to = `${file}.corrupt-${Math.max(0, ...numbers) + 1}`;
    await onDisk(this.dir, () => renameDurable(this.dir, file, to));
    this.#log.error('vault_file_set_aside', { path: join(this.dir, to) });
  }

  /** Removes `first`, then the file, then what was set aside of it: the user wants it gone. */
  async remove(name: string, first: readonly string[] = []): Promise<void> {
    await onDisk(this.dir, async () => {
      const aside = (await listDir(this.dir)).filter((file) => SET_ASIDE.exec(file)?.[1] === name);
      await removeDurable(this.dir, [...first, `${name}${ENDING}`, ...aside]);
    });
  }
}

/** A name becomes a file's: a second line behind the parsers that made it. */
export function assertFileName(name: string): void {
  if (!FILE_NAME.test(name)) {
    throw new BrokerError('bad_request', 'a name in the vault holds letters, digits, dot, dash and underscore only');
  }
}
