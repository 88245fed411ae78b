/** What to do where this client and the daemon are of different builds: only the older of the two is to be replaced. */
import { BUILD_VERSION } from '../shared/version.ts';

/** By their numbers alone: of two that differ in more, neither is older. */
export function isOlder(version: string, than: string): boolean {
  const [ours, theirs] = [version, than].map((text) => text.split(/[-+]/, 1)[0]?.split('.').map(Number) ?? []);
  for (const [i, part] of (ours ?? []).entries()) {
    const other = theirs?.[i] ?? 0;
    if (part !== other) return part < other;
  }
  return false;
}

/** Null where both are of one build. */
export function buildGap({ version, pid }: { readonly version: string; readonly pid: number }, own = BUILD_VERSION): { readonly what: string; readonly why: string; readonly command: string } | null {
  if (version === own) return null;
  const what = `the daemon, pid ${pid}, has version ${version}, and this client ${own}`;
  return isOlder(own, version)
    ? { what, why: 'This client is an older one, which another has been installed beside', command: 'type -a valetkey' }
    : { what, why: 'What was mended in the newer one is not in effect', command: 'valetkey daemon upgrade' };
}
