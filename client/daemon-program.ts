/**
 * The daemon's program beside this client: the bundle, which starts in half the time and has a sixth less memory,
 * or what tsc made. In a package there is a bundle and nothing newer. In a working copy it may be older than
 * what it was made of, and an old daemon must not run unseen: then it is passed over until the next build.
 */
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** tsc writes the first two with each change that it compiles, npm the third with each package; none is in a package. */
const MADE_OF = ['.daemon.tsbuildinfo', '.shared.tsbuildinfo', '../node_modules/.package-lock.json'] as const;

/** @param dist - the folder of the build, with a slash at its end */
export function daemonProgram(dist: URL = new URL('../', import.meta.url)): string {
  const changedMs = (path: string): number | null => statSync(new URL(path, dist), { throwIfNoEntry: false })?.mtimeMs ?? null;
  const bundledMs = changedMs('daemon/valetkeyd.cjs');
  const isFresh = bundledMs !== null && MADE_OF.every((path) => (changedMs(path) ?? 0) <= bundledMs);
  return fileURLToPath(new URL(isFresh ? 'daemon/valetkeyd.cjs' : 'daemon/main.js', dist));
}
