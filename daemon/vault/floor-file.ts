/**
 * The sealed floors as a file of the runtime directory: replaced as a whole after each save, without a sync,
 * for it need not outlive the boot. Nothing that is wrong with it fails anything else; the log says so, once.
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BrokerError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { errnoOf, readPrivate } from './private-files.ts';

export class FloorFile {
  readonly path: string;
  readonly #log: Log;
  #isOn = false;
  #next: Promise<string | null> | null = null;
  #writing: Promise<void> | null = null;
  #hasFailed = false;

  constructor(runtimeDir: string, log: Log) {
    this.path = join(runtimeDir, 'floors.jwe');
    this.#log = log;
  }

  /** Null where there is none that may be read. */
  async read(): Promise<string | null> {
    try {
      const found = await readPrivate(this.path);
      if (found?.modeMended === true) this.#log.warn('vault_file_mode_mended', { path: this.path });
      return found?.bytes.toString('latin1') ?? null;
    } catch (cause) {
      this.#log.warn('floors_ignored', { where: this.path, why: whyOf(cause) });
      return null;
    }
  }

  /** @param mayWrite - false: what is there is left alone */
  start(mayWrite: boolean): void {
    this.#isOn = mayWrite;
  }

  /** Written as soon as what is being written is done; of several only the last. */
  put(sealed: Promise<string | null>): void {
    if (!this.#isOn) return;
    this.#next = sealed;
    this.#writing ??= this.#writeAll();
  }

  async idle(): Promise<void> {
    await this.#writing;
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    this.#next = null;
    await this.#writing;
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true }).catch((cause: unknown) => this.#log.warn('floors_not_removed', { where: this.path, why: whyOf(cause) }));
  }

  async #writeAll(): Promise<void> {
    while (this.#next !== null) {
      const sealed = this.#next;
      this.#next = null;
      try {
        const text = await sealed;
        if (text !== null) await this.#write(text);
        this.#hasFailed = false;
      } catch (cause) {
        if (!this.#hasFailed) this.#log.warn('floors_not_kept', { where: this.path, why: whyOf(cause) });
        this.#hasFailed = true;
      }
    }
    this.#writing = null;
  }

  /** There is one daemon, and it writes one after the other: the temporary name can be a fixed one. */
  async #write(text: string): Promise<void> {
    const temporary = `${this.path}.tmp`;
    await rm(temporary, { force: true });
    await writeFile(temporary, text, { flag: 'wx', mode: 0o600 });
    await rename(temporary, this.path);
  }
}

function whyOf(cause: unknown): string {
  return cause instanceof BrokerError ? cause.message : errnoOf(cause) ?? 'unknown';
}
