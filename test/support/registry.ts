/**
 * A registry of npm on the loopback: our own package, described as the public one describes what is published (it looks
 * into the tarball for npm-shrinkwrap.json, and npm heeds that file only where it is told of it), and the packages of the
 * lock, as they lie in npm's cache since this working copy was installed. Nothing is asked of the network.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { listening } from './listening.ts';

export type Registry = { readonly url: string; close(): Promise<void> };
export type Locked = { readonly version: string; readonly integrity?: string; readonly dev?: boolean };
type Own = { readonly tarball: string; readonly manifest: { readonly name: string; readonly version: string } };

/** Where npm keeps the bytes of this hash. */
function cached(cache: string, integrity: string): string {
  const [algorithm = '', base64 = ''] = integrity.split(/-(.*)/s);
  const hex = Buffer.from(base64, 'base64').toString('hex');
  return join(cache, '_cacache/content-v2', algorithm, hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
}

/** Packages that this machine has installed and that are not in the cache, so that nothing can be installed from here. */
export function notCached(cache: string, root: string, packages: Readonly<Record<string, Locked>>): readonly string[] {
  return Object.entries(packages).filter(([path, { integrity, dev }]) => path !== '' && dev !== true && integrity !== undefined && existsSync(join(root, path)) && !existsSync(cached(cache, integrity))).map(([path]) => path);
}

export async function startRegistry({ tarball, manifest }: Own, cache: string, packages: Readonly<Record<string, Locked>>): Promise<Registry> {
  const bytes = readFileSync(tarball);
  const server = createServer();
  const { port, close } = await listening(server);
  const url = `http://127.0.0.1:${port}`;
  const { name, version } = manifest;
  const dist = { tarball: `${url}/${name}/-/${name}-${version}.tgz`, integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}` };
  const packument = { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist, _hasShrinkwrap: true } } };
  /** By the paths of the public registry: /@scope/name/-/name-1.2.3.tgz, and /@scope/name for all versions. */
  const files = new Map<string, string>();
  const described = new Map<string, Record<string, object>>();
  for (const [path, locked] of Object.entries(packages)) {
    const full = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const { version: of, integrity = '' } = locked;
    const file = `/${full}/-/${full.slice(full.indexOf('/') + 1)}-${of}.tgz`;
    files.set(file, integrity);
    described.set(`/${full}`, { ...described.get(`/${full}`), [of]: { name: full, ...locked, dist: { tarball: `${url}${file}`, integrity } } });
  }
  server.on('request', (req, res) => {
    const path = decodeURIComponent(req.url ?? '/');
    const integrity = files.get(path);
    const versions = described.get(path);
    if (path === `/${name}`) res.setHeader('content-type', 'application/json').end(JSON.stringify(packument));
    else if (path === `/${name}/-/${name}-${version}.tgz`) res.end(bytes);
    else if (integrity !== undefined) res.end(readFileSync(cached(cache, integrity)));
    else if (versions !== undefined) res.setHeader('content-type', 'application/json').end(JSON.stringify({ name: path.slice(1), 'dist-tags': { latest: Object.keys(versions).at(-1) }, versions }));
    else res.writeHead(404).end('{}');
  });
  return { url, close };
}
