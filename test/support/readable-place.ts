/**
 * The daemon as it ships, and the scripted browser, in a directory that every user may read: tests run them as
 * another user, and a checkout may be private to its owner.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../e2e/built-cli.ts';

const NATIVE = ['koffi', '@koromix', '@napi-rs'];

export type ReadablePlace = { readonly daemon: string; readonly browser: string };
let made: ReadablePlace | null = null;

/** Made once a test process, and gone with it. */
export function readablePlace(): ReadablePlace {
  if (made !== null) return made;
  const place = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-readable-')));
  process.once('exit', () => rmSync(place, { recursive: true, force: true }));
  chmodSync(place, 0o755);
  for (const name of NATIVE) cpSync(join(ROOT, 'node_modules', name), join(place, 'node_modules', name), { recursive: true, dereference: true });
  execFileSync(process.execPath, [join(ROOT, 'scripts/build-daemon.mjs'), join(place, 'dist/daemon')]);
  cpSync(join(ROOT, 'dist/demo'), join(place, 'demo'), { recursive: true });
  writeFileSync(join(place, 'demo/package.json'), '{"type":"module"}');
  execFileSync('chmod', ['-R', 'a+rX', place]);
  made = { daemon: join(place, 'dist/daemon/valetkeyd.cjs'), browser: join(place, 'demo/browser.js') };
  return made;
}
