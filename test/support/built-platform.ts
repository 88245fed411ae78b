/**
 * The compiled daemon/platform and daemon/callers in a directory that every user may read, and child
 * processes in it: hardening and locks are facts of a process, so tests need processes of their own, and
 * root would make most of them vacuous.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** nobody's uid where the tests run as root; else the tests' own user is as good. */
export const UNPRIVILEGED: { readonly uid?: number; readonly gid?: number } =
  process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

export type Built = {
  readonly dir: string;
  /** Null, or why the unprivileged user cannot run anything here. */
  readonly obstacle: string | null;
  /** A new directory of the unprivileged user. */
  makeDir(): string;
  /** Starts `source` as an ES module next to daemon/. */
  start(source: string, options?: StartOptions): ChildProcess;
  run(source: string, options?: StartOptions): Promise<Finished>;
  remove(): void;
};

export type StartOptions = Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid' | 'stdio'> & { readonly flags?: readonly string[] };
export type Finished = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly stdout: string; readonly stderr: string };

export function buildPlatform(): Built {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-built-')));
  chmodSync(dir, 0o755);
  compile(dir);
  for (const name of ['koffi', '@koromix']) cpSync(join(ROOT, 'node_modules', name), join(dir, 'node_modules', name), { recursive: true, dereference: true });
  let scripts = 0;
  const start: Built['start'] = (source, { flags = [], ...options } = {}) => {
    scripts += 1;
    const file = join(dir, `child-${scripts}.js`);
    writeFileSync(file, source);
    return spawn(process.execPath, [...flags, file], { cwd: dir, stdio: 'pipe', ...options });
  };
  const probe = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(join(dir, 'node_modules/koffi'))})`], { cwd: '/', ...UNPRIVILEGED });
  return {
    dir,
    obstacle: probe.status === 0 ? null : `uid ${UNPRIVILEGED.uid} cannot run ${process.execPath} in ${dir}`,
    makeDir() {
      const made = mkdtempSync(join(dir, 'own-'));
      if (UNPRIVILEGED.uid !== undefined) chownSync(made, UNPRIVILEGED.uid, UNPRIVILEGED.gid ?? UNPRIVILEGED.uid);
      return made;
    },
    start,
    run: (source, options) => finished(start(source, options)),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Types are checked elsewhere; here only the JavaScript counts. */
function compile(dir: string): void {
  mkdirSync(join(dir, 'node_modules'));
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: { composite: false, declaration: false, noCheck: true, types: [], rootDir: ROOT, outDir: dir },
    include: ['platform', 'callers'].map((folder) => join(ROOT, 'daemon', folder, '*.ts')),
  }));
  const compiled = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir], { encoding: 'utf8' });
  if (!existsSync(join(dir, 'daemon/platform/lock.js'))) throw new Error(`daemon/platform was not compiled: ${compiled.stdout}${compiled.stderr}`);
}

export function finished(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data) => { stdout += String(data); });
  child.stderr?.on('data', (data) => { stderr += String(data); });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** The first line that the child prints. */
export function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (data: unknown): void => {
      text += String(data);
      if (!text.includes('\n')) return;
      child.stdout?.off('data', read);
      resolve(text.slice(0, text.indexOf('\n')));
    };
    child.stdout?.on('data', read);
    child.once('error', reject);
    child.once('close', () => reject(new Error(`the child ended before it printed a line: ${text}`)));
  });
}

/** Ends the child for good. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.kill('SIGKILL');
  await ended;
}
