import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { daemonProgram } from '../../../client/daemon-program.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'valetkey-program-'));
  for (const folder of ['dist/daemon', 'node_modules']) mkdirSync(join(root, folder), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

/** @param atS - when it was changed */
function put(path: string, atS: number): void {
  writeFileSync(join(root, path), '');
  utimesSync(join(root, path), atS, atS);
}
const started = (): string => daemonProgram(pathToFileURL(`${root}/dist/`)).slice(root.length);

describe('the program of the daemon', () => {
  it('is the bundle where there is one, as in a package, and what tsc made where there is none', () => {
    expect(started()).toBe('/dist/daemon/main.js');
    put('dist/daemon/valetkeyd.cjs', 1_000);
    expect(started()).toBe('/dist/daemon/valetkeyd.cjs');
  });

  it.each(['dist/.daemon.tsbuildinfo', 'dist/.shared.tsbuildinfo', 'node_modules/.package-lock.json'])('is no bundle that is older than %s', (path) => {
    put('dist/daemon/valetkeyd.cjs', 1_000);
    put(path, 1_000);
    expect(started()).toBe('/dist/daemon/valetkeyd.cjs');
    put(path, 1_001);
    expect(started()).toBe('/dist/daemon/main.js');
  });
});
