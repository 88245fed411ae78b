/**
 * A copy of the working copy in which the packages are built as a release builds them, away from dist/, which other
 * tests are running. Building takes a while, so it is done once for all tests of a file.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ROOT } from '../e2e/built-cli.ts';

export type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

export type Workshop = {
  readonly path: string;
  run(command: string, args: readonly string[], options?: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string }): Ran;
  remove(): void;
};

const LEFT_OUT = new Set(['node_modules', '.git', 'coverage']);

export function makeWorkshop(): Workshop {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-packages-')));
  const copy = join(path, 'source');
  mkdirSync(copy);
  for (const name of readdirSync(ROOT)) {
    // A release in dist/ is no part of one.
    if (!LEFT_OUT.has(name)) cpSync(join(ROOT, name), join(copy, name), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, filter: (from) => relative(ROOT, from) !== 'dist/release' });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return {
    path,
    run(command, args, { env = {}, cwd = copy } = {}) {
      // 2026-11-23: the copy is no clone, and has no commit to take the day from.
      const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, SOURCE_DATE_EPOCH: '1795435200', ...env }, timeout: 240_000 });
      return { status, stdout, stderr: error === undefined ? stderr : error.message };
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
