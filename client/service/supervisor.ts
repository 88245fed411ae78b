/** What systemd and launchd have in common for `valetkey service`: files of this machine, and a few orders. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Paths } from '../../shared/paths.ts';
import type { Owner } from '../local-paths.ts';
import type { OwnFile } from './own-file.ts';
import type { Runner } from './run-program.ts';
import type { ServiceProgram } from './program.ts';

export type Site = {
  readonly owner: Owner;
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly run: Runner;
};

export type ServiceState = {
  /** It waits for clients, and starts the daemon for them. */
  readonly listening: boolean;
  /** As the supervisor calls it: active, inactive, failed, … */
  readonly daemon: string;
  /** One line of the daemon itself, where the supervisor passes it on. */
  readonly says: string | null;
  readonly restarts: number | null;
};

export type Supervisor = {
  readonly name: 'systemd' | 'launchd';
  /** Throws ValetkeyError service_unavailable where nobody would read the files. */
  demand(): void;
  isThere(): boolean;
  /** What a package has installed for every user; then only its socket is enabled. Null: nothing. */
  readonly packaged: { readonly file: string; readonly node: string; readonly program: string } | null;
  /** In the order in which they are written; removed in the reverse. */
  files(program: ServiceProgram): readonly OwnFile[];
  /** What the files that are there start; null where they do not tell. */
  startedBy(): { readonly node: string; readonly program: string } | null;
  /** Directories up to this one are removed when they are empty. */
  readonly base: string;
  /** Reads the files, and listens. `changed`: a daemon that runs is replaced. */
  start(changed: boolean): Promise<void>;
  /** Ends socket and daemon, which finishes what is on the wire. */
  stop(): Promise<void>;
  /** After the files were removed. */
  forget(): Promise<void>;
  state(): Promise<ServiceState | null>;
  /** The program that prints its log, and its arguments. */
  logs(lines: number, follows: boolean): { readonly file: string; readonly args: readonly string[] };
};

/** A file that ships beside dist/, or beside client/ in a working copy. */
export function shipped(name: string): string {
  const places = ['../../../', '../../'].map((up) => fileURLToPath(new URL(`${up}${name}`, import.meta.url)));
  const found = places.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is missing in this installation`);
  return readFileSync(found, 'utf8');
}
