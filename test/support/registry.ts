/**
 * A registry of npm on the loopback with one package of ours in it, described as the public one describes what is
 * published: it looks into the tarball for npm-shrinkwrap.json, and npm heeds that file only where it is told of it.
 * Whatever else is asked for is had from the public registry, which npm is sent to.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { listening } from './listening.ts';

const PUBLIC = 'https://registry.npmjs.org';

export type Registry = { readonly url: string; close(): Promise<void> };

/** @param manifest - package.json of the tarball */
export async function startRegistry(tarball: string, manifest: { readonly name: string; readonly version: string }): Promise<Registry> {
  const bytes = readFileSync(tarball);
  const server = createServer();
  const { port, close } = await listening(server);
  const url = `http://127.0.0.1:${port}`;
  const { name, version } = manifest;
  const dist = { tarball: `${url}/${name}/-/${name}-${version}.tgz`, integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}` };
  const packument = { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist, _hasShrinkwrap: true } } };
  server.on('request', (req, res) => {
    if (req.url === `/${name}`) res.setHeader('content-type', 'application/json').end(JSON.stringify(packument));
    else if (req.url === `/${name}/-/${name}-${version}.tgz`) res.end(bytes);
    else res.writeHead(302, { location: `${PUBLIC}${req.url ?? '/'}` }).end();
  });
  return { url, close };
}
