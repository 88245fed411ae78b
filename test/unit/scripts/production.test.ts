/** What is said of the packages that ship: the bill of materials and the licences, held against the lock and against npm. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const EPOCH = 1_795_435_200;

type Package = { readonly path: string; readonly name: string; readonly version: string; readonly hasInstallScript: boolean; readonly isOptional: boolean; readonly integrity: string };
type Lock = { readonly name: string; readonly version: string; readonly packages: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
type Component = { readonly 'bom-ref': string; readonly name: string; readonly version: string; readonly purl: string; readonly hashes: readonly { readonly alg: string; readonly content: string }[]; readonly licenses: readonly { readonly license: { readonly id: string } }[] };
type Bom = { readonly serialNumber: string; readonly metadata: { readonly component: { readonly name: string } }; readonly components: readonly Component[]; readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[] };
type Production = { productionPackages(lock?: Lock): readonly Package[]; thirdPartyLicences(lock?: Lock): string; readLock(): Lock };
type Sbom = { billOfMaterials(epoch: number, lock?: Lock): Bom };

const script = async <T>(name: string): Promise<T> => await import(pathToFileURL(join(ROOT, 'scripts', name)).href) as T;
let production: Production;
let sbom: Sbom;
beforeAll(async () => {
  production = await script<Production>('production.mjs');
  sbom = await script<Sbom>('sbom.mjs');
});

/** As the lock has it: also what `npm ls` would show, since nothing but package-lock.json says what is installed. */
function lockWith(more: Lock['packages'], dependencies: Readonly<Record<string, string>> = {}): Lock {
  const lock = production.readLock();
  const { '': root = {} } = lock.packages;
  return { ...lock, packages: { ...lock.packages, '': { ...root, dependencies: { ...root['dependencies'] as object, ...dependencies } }, ...more } };
}

describe('the packages that ship', () => {
  it('[PH-07] are few, locked by hash, and none of them has an install script', () => {
    const packages = production.productionPackages();
    expect(packages.filter(({ isOptional }) => !isOptional).length).toBeGreaterThan(50);
    expect(packages.filter(({ isOptional }) => !isOptional).length).toBeLessThanOrEqual(85);
    expect(packages.filter(({ hasInstallScript }) => hasInstallScript)).toEqual([]);
    for (const { name, integrity } of packages) expect(`${name} ${integrity}`).toMatch(/ sha512-[A-Za-z0-9+/]{86}==$/);
    // Control: one that had a script would be seen, also where another package needs it.
    const lock = lockWith({ 'node_modules/uqr': { version: '0.1.3', dependencies: { bad: '1.0.0' } }, 'node_modules/bad': { version: '1.0.0', hasInstallScript: true } });
    expect(production.productionPackages(lock).filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name)).toEqual(['bad']);
  });

  it('are those of the dependencies, and not those of the development or of a peer that nobody installs', () => {
    const names = production.productionPackages().map(({ name }) => name);
    const { dependencies, optionalDependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
    expect(names).toEqual(expect.arrayContaining(Object.keys({ ...dependencies, ...optionalDependencies })));
    expect(names.filter((name) => Object.hasOwn(devDependencies ?? {}, name) || name.startsWith('@typescript/'))).toEqual([]);
    expect(names).toContain('@napi-rs/keyring-linux-x64-gnu');
  });

  it('are found as Node finds them: beside the package that needs them before further up', () => {
    const lock = lockWith({ 'node_modules/a': { version: '1.0.0', dependencies: { b: '2.0.0' } }, 'node_modules/b': { version: '1.0.0' }, 'node_modules/a/node_modules/b': { version: '2.0.0' } }, { a: '1.0.0' });
    const found = production.productionPackages(lock).filter(({ name }) => ['a', 'b'].includes(name)).map(({ name, version }) => `${name} ${version}`);
    expect(found).toEqual(['a 1.0.0', 'b 2.0.0']);
    expect(() => production.productionPackages(lockWith({}, { missing: '1.0.0' }))).toThrow('has no missing, which the project needs');
  });
});

describe('the bill of materials', () => {
  it('has each of them with version, hash and licence, and who needs it', () => {
    const { components, dependencies, metadata } = sbom.billOfMaterials(EPOCH);
    expect(metadata.component.name).toBe('valetkey');
    expect(components.map(({ name, version }) => `${name} ${version}`)).toEqual(production.productionPackages().map(({ name, version }) => `${name} ${version}`));
    for (const { hashes, licenses, name } of components) {
      expect({ name, hashes }).toEqual({ name, hashes: [{ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) as string }] });
      expect(licenses[0]?.license.id).toMatch(/^[A-Za-z0-9.-]+$/);
    }
    const refs = new Set(components.map((each) => each['bom-ref']));
    expect(refs.size).toBe(components.length);
    for (const { dependsOn } of dependencies) for (const ref of dependsOn) expect(refs.has(ref)).toBe(true);
    expect(dependencies.find(({ ref }) => ref.startsWith('openid-client@'))?.dependsOn.map((ref) => ref.replace(/@[\d.]+$/, ''))).toEqual(['jose', 'oauth4webapi']);
  });

  it('lacks nothing that npm lists, and has the native libraries, which npm leaves out', () => {
    const { stdout, status } = spawnSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'], { cwd: ROOT, encoding: 'utf8' });
    expect(status).toBe(0);
    const told = (JSON.parse(stdout) as Bom).components.map(({ purl }) => purl);
    const ours = sbom.billOfMaterials(EPOCH).components.map(({ purl }) => purl);
    expect(told.length).toBeGreaterThan(50);
    expect(told.filter((purl) => !ours.includes(purl))).toEqual([]);
    expect(ours.filter((purl) => purl.includes('%40koromix/')).length).toBe(4);
  });

  it('is the same for the same lock, and another one for another', () => {
    expect(sbom.billOfMaterials(EPOCH)).toEqual(sbom.billOfMaterials(EPOCH));
    expect(sbom.billOfMaterials(EPOCH).serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(sbom.billOfMaterials(EPOCH, { ...production.readLock(), version: '9.9.9' }).serialNumber).not.toBe(sbom.billOfMaterials(EPOCH).serialNumber);
  });
});

describe('the licences', () => {
  it('are there for each of them, with the whole text', () => {
    const text = production.thirdPartyLicences();
    const sections = new Map(text.split(/^-{80}$/m).slice(1).map((section) => [section.trim().split('\n')[0] ?? '', section] as const));
    const packages = production.productionPackages();
    expect(sections.size).toBe(packages.length);
    for (const { name, version } of packages) {
      const [, section = ''] = [...sections].find(([title]) => title.startsWith(`${name} ${version} (`)) ?? [];
      expect({ name, whole: /Permission is hereby granted|Permission to use, copy, modify|Redistribution and use in source/.test(section) }).toEqual({ name, whole: true });
    }
  });

  it('one that is missing ends the build', () => {
    const lock = lockWith({ 'node_modules/unlicensed': { version: '1.0.0', license: 'MIT' } }, { unlicensed: '1.0.0' });
    expect(existsSync(join(ROOT, 'node_modules/unlicensed'))).toBe(false);
    expect(() => production.thirdPartyLicences(lock)).toThrow('unlicensed 1.0.0 does not say its licence');
  });
});
