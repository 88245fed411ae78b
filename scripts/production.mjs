/**
 * The packages that ship: what package-lock.json says that the dependencies of package.json need, on any platform. What
 * is marked in the lock is not enough: a peer that nobody installs, such as TypeScript for valibot, is not marked as one
 * of the development.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/**
 * @typedef {{ path: string, name: string, version: string, license: string | null, integrity: string | null, resolved: string | null,
 *   isOptional: boolean, hasInstallScript: boolean, needs: readonly string[] }} Package - `path`: in the working copy; `needs`: paths
 */

/** @returns {{ name: string, version: string, license: string, packages: Record<string, Record<string, any>> }} */
export function readLock() {
  return JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
}

/** Where Node finds `name` from a package: beside it, or further up. */
function find(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (packages[path] !== undefined) return path;
    if (at === '') return null;
  }
}

/** @returns {readonly Package[]} by name */
export function productionPackages(lock = readLock()) {
  const { packages } = lock;
  const needsOf = (path) => {
    const { dependencies = {}, optionalDependencies = {} } = packages[path];
    return Object.keys({ ...dependencies, ...optionalDependencies }).flatMap((name) => {
      const found = find(packages, path, name);
      if (found === null) throw new Error(`package-lock.json has no ${name}, which ${path || 'the project'} needs`);
      return [found];
    });
  };
  const seen = new Map();
  const visit = (path) => {
    for (const each of needsOf(path)) {
      if (seen.has(each)) continue;
      const entry = packages[each];
      const name = each.slice(each.lastIndexOf('node_modules/') + 'node_modules/'.length);
      seen.set(each, { path: each, name, version: entry.version, license: entry.license ?? null, integrity: entry.integrity ?? null, resolved: entry.resolved ?? null, isOptional: entry.optional === true, hasInstallScript: entry.hasInstallScript === true, needs: needsOf(each) });
      visit(each);
    }
  };
  visit('');
  return [...seen.values()].toSorted((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
}

const LICENCE = /^licen[cs]e(?:\.|-|$)/i;

function fileIn(path) {
  const home = join(ROOT, path);
  const file = existsSync(home) ? readdirSync(home).find((entry) => LICENCE.test(entry)) : undefined;
  return file === undefined ? null : readFileSync(join(home, file), 'utf8').trim();
}

/** Of a library for one platform: what it belongs to has the text for all of them. */
function fileOfFamily(name, packages) {
  const parents = Object.entries(packages).filter(([path, { optionalDependencies = {} }]) => path !== '' && optionalDependencies[name] !== undefined);
  return parents.map(([path]) => fileIn(path)).find((text) => text !== null) ?? null;
}

/** MIT without a file of its own: the project's, with the author that the package names. */
function standardText({ path, license }) {
  const manifest = join(ROOT, path, 'package.json');
  if (license !== 'MIT' || !existsSync(manifest)) return null;
  const { author } = JSON.parse(readFileSync(manifest, 'utf8'));
  const who = typeof author === 'string' ? author : author?.name;
  return who === undefined ? null : readFileSync(join(ROOT, 'LICENSE'), 'utf8').trim().replace(/^Copyright .*$/m, `Copyright (c) ${who}`);
}

/** @param {Package} each @returns {string} @throws where a package has none: it may not ship */
function licenceOf(each, { packages }) {
  const text = fileIn(each.path) ?? fileOfFamily(each.name, packages) ?? standardText(each);
  if (text === null || each.license === null) throw new Error(`${each.name} ${each.version} does not say its licence`);
  return text;
}

/** Of every package that ships, with the whole text. */
export function thirdPartyLicences(lock = readLock()) {
  const sections = productionPackages(lock).map((each) => `${each.name} ${each.version} (${each.license})\n\n${licenceOf(each, lock)}\n`);
  return [`Packages that valetkey ${lock.version} comes with or installs, with their licences.\n`, ...sections].join(`\n${'-'.repeat(80)}\n\n`);
}
