/**
 * Writes npm-shrinkwrap.json, by which npm installs exactly the packages of package-lock.json wherever the tarball is
 * installed; what does not ship is left out. It stands in the working copy while `npm pack` runs, and no longer: npm
 * would read it instead of package-lock.json.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { productionPackages, readLock } from './production.mjs';

const FILE = fileURLToPath(new URL('../npm-shrinkwrap.json', import.meta.url));

export function shrinkwrap(lock = readLock()) {
  const { devDependencies: _, ...own } = lock.packages[''];
  return { ...lock, packages: { '': own, ...Object.fromEntries(productionPackages(lock).map(({ path }) => [path, lock.packages[path]])) } };
}

// usage: node scripts/lock-package.mjs [--remove]
if (argv[1] === fileURLToPath(import.meta.url)) {
  if (argv[2] === '--remove') rmSync(FILE, { force: true });
  else writeFileSync(FILE, `${JSON.stringify(shrinkwrap(), null, 2)}\n`);
}
