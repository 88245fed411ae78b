/**
 * The programs that print a token: the launcher as it is shipped, the launcher under ASan and UBSan, the Node entry,
 * and the whole CLI, whose word counts. Built anew, so that what is tested is what stands in the sources.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLI, needBuild, ROOT } from './built-cli.ts';

export type Program = {
  readonly name: string;
  readonly argv: readonly string[];
  /** What it does when it does not answer by itself: runs the whole CLI, or only says that it would; null: it is the whole CLI. */
  readonly handsOver: 'runs' | 'says' | null;
};
export type Ended = { readonly exit: number | null; readonly stdout: string; readonly stderr: string };
export type Kind = 'release' | 'sanitized' | 'debug';

/** A directory that looks to the launcher as dist/ does. */
export type Room = { readonly path: string; remove(): void };

export function launcherRoom(): Room {
  const path = mkdtempSync(join(tmpdir(), 'valetkey-launcher-'));
  mkdirSync(join(path, 'launcher'));
  mkdirSync(join(path, 'entry'));
  symlinkSync(join(ROOT, 'dist/client'), join(path, 'client'));
  symlinkSync(join(ROOT, 'dist/client/whole-cli.js'), join(path, 'entry/whole-cli.js'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export type BuildOptions = { readonly kind: Kind; readonly node?: string; readonly without?: readonly string[]; readonly extra?: readonly string[] };

/** The path of the program; null without a C compiler. */
export function buildLauncher(room: Room, name: string, options: BuildOptions): string | null {
  const file = join(room.path, 'launcher', name);
  const how = execFileSync(process.execPath, [join(ROOT, 'scripts/build-launcher.mjs'), file, JSON.stringify(options)], { encoding: 'utf8' });
  if (how === '') console.warn('not run: the launcher needs a C compiler (Debian package gcc)');
  return how === '' ? null : file;
}

export const HANDED_OVER = 'handed over to node ';

/** In Node's place: says with which arguments it was called. */
export function sayingNode(room: Room): string {
  const file = join(room.path, 'saying-node');
  writeFileSync(file, `#!/bin/sh\nprintf '%s' '${HANDED_OVER}'\nprintf '<%s>' "$@"\n`, { mode: 0o755 });
  return file;
}

export function buildPrograms(room: Room): readonly Program[] {
  needBuild();
  // Not in dist/, where another test may be running it.
  const entry = join(room.path, 'entry/valetkey.cjs');
  execFileSync(process.execPath, [join(ROOT, 'scripts/build-entry.mjs'), entry]);
  const launcher = buildLauncher(room, 'release', { kind: 'release' });
  const sanitized = launcher === null ? null : buildLauncher(room, 'sanitized', { kind: 'sanitized', node: sayingNode(room) });
  return [
    { name: 'the whole CLI', argv: [process.execPath, CLI], handsOver: null },
    { name: 'the Node entry', argv: [process.execPath, entry], handsOver: 'runs' },
    ...(launcher === null ? [] : [{ name: 'the launcher', argv: [launcher], handsOver: 'runs' as const }]),
    ...(sanitized === null ? [] : [{ name: 'the launcher under ASan', argv: [sanitized], handsOver: 'says' as const }]),
  ];
}

export async function runProgram(argv: readonly string[], env: Readonly<Record<string, string>>, identity: { readonly uid?: number; readonly gid?: number } = {}): Promise<Ended> {
  const [file = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...env }, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], ...identity });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => { said.stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { said.stderr += text; });
    child.once('error', reject);
    child.once('close', (exit) => resolve({ exit, ...said }));
  });
}
