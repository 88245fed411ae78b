/**
 * What the installed programs load: the files of the CLI, told from what each of them names, and the packages that these
 * name, with the native ones of the daemon's bundle and what both need. The rest is inside of the bundle.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NATIVE } from '../build-daemon.mjs';
import { productionPackages } from '../production.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGE = /\b(?:from|import|require)\s*\(?\s*["']([^"'.\n][^"'\n]*)["']/g;
/** Imported, or run as a program of its own. */
const FILE = /["'](\.\.?\/[\w./-]+\.js)["']/g;

/** @param {string} file @returns {{ files: ReadonlySet<string>, packages: ReadonlySet<string> }} */
function reached(file) {
  const files = new Set();
  const packages = new Set();
  const visit = (at) => {
    if (files.has(at) || !existsSync(at)) return;
    files.add(at);
    const text = readFileSync(at, 'utf8');
    for (const [, name] of text.matchAll(PACKAGE)) if (!name.startsWith('node:')) packages.add(name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
    for (const [, name] of text.matchAll(FILE)) visit(resolve(dirname(at), name));
  };
  visit(file);
  return { files, packages };
}

/** Files of the CLI, by their whole paths. @param {string} dist @returns {readonly string[]} */
export function cliFiles(dist) {
  return [...reached(join(dist, 'client/main.js')).files].toSorted();
}

/** @param {string} dist @returns {readonly import('../production.mjs').Package[]} */
export function runtimePackages(dist) {
  const { packages: named } = reached(join(dist, 'client/main.js'));
  const packages = productionPackages();
  const byPath = new Map(packages.map((each) => [each.path, each]));
  const found = new Map();
  const take = (each) => {
    if (found.has(each.path) || !existsSync(join(ROOT, each.path))) return;
    found.set(each.path, each);
    for (const path of each.needs) take(byPath.get(path));
  };
  for (const each of packages) if ((named.has(each.name) || NATIVE.some((native) => native.test(each.name))) && each.path === `node_modules/${each.name}`) take(each);
  return [...found.values()];
}
