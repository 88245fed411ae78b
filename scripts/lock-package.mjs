/**
 * Writes npm-shrinkwrap.json, by which npm installs exactly the packages of package-lock.json wherever the tarball is
 * installed; what only the development needs is left out. It stands in the working copy while `npm pack` runs, since npm
 * would read it instead of package-lock.json.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const at = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** @param {{ packages: Record<string, Record<string, unknown>> }} lock */
export function shipped(lock) {
  const { '': root = {}, ...packages } = lock.packages;
  const { devDependencies: _, ...own } = root;
  return { ...lock, packages: { '': own, ...Object.fromEntries(Object.entries(packages).filter(([, entry]) => entry['dev'] !== true)) } };
}

// usage: node scripts/lock-package.mjs [--remove]
if (argv[1] === fileURLToPath(import.meta.url)) {
  if (argv[2] === '--remove') rmSync(at('npm-shrinkwrap.json'), { force: true });
  else writeFileSync(at('npm-shrinkwrap.json'), `${JSON.stringify(shipped(JSON.parse(readFileSync(at('package-lock.json'), 'utf8'))), null, 2)}\n`);
}
