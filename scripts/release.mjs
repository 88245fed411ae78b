/**
 * Makes what a release consists of, in dist/release/: the tarball for npm, the Debian package, the bill of materials,
 * the licences of all packages, and the hashes of these files. From an empty dist/, so that nothing old is in it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exit, version as node } from 'node:process';
import { fileURLToPath } from 'node:url';
import { sourceEpoch } from './source-date.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const RELEASE = join(ROOT, 'dist/release');

/** @param {string} command @param {readonly string[]} args */
function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, SOURCE_DATE_EPOCH: String(sourceEpoch()) } });
  if (status !== 0) exit(status ?? 1);
}

rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
mkdirSync(RELEASE, { recursive: true });
run('npm', ['pack', '--silent', '--pack-destination', RELEASE]);

// Loaded only now: they look at what was built.
const { thirdPartyLicences, readLock } = await import('./production.mjs');
const { billOfMaterials } = await import('./sbom.mjs');
const { buildDeb } = await import('./build-deb.mjs');
buildDeb(RELEASE);
writeFileSync(join(RELEASE, `valetkey-${readLock().version}.cdx.json`), `${JSON.stringify(billOfMaterials(sourceEpoch()), null, 2)}\n`);
writeFileSync(join(RELEASE, 'THIRD-PARTY-LICENSES'), thirdPartyLicences());
const files = readdirSync(RELEASE).toSorted();
const sums = files.map((file) => `${createHash('sha256').update(readFileSync(join(RELEASE, file))).digest('hex')}  ${file}\n`).join('');
writeFileSync(join(RELEASE, 'SHA256SUMS'), sums);
console.log(`${sums}\nmade with Node ${node} in dist/release`);
