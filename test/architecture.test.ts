/**
 * The layout and the promises that the source alone can keep: who imports whom, where secrets become text,
 * where the real world is touched, and what may be installed. Each rule is proved to bite by a planted breach.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EXCEPTIONS, findBreaches, isProduct, LINES_MAX, PACKAGE_RULES, usesOfWorld } from './support/architecture.ts';
import type { Sources } from './support/architecture.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

function readSources(folder: string): readonly (readonly [string, string])[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return readSources(path);
    return /\.[cm]?[jt]sx?$/.test(entry.name) ? [[path, readFileSync(join(ROOT, path), 'utf8')] as const] : [];
  });
}

const sources: Sources = new Map(['shared', 'client', 'daemon'].flatMap(readSources));

type Lock = { readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean; readonly hasInstallScript?: boolean; readonly integrity?: string; readonly optionalDependencies?: Readonly<Record<string, string>> }>> };
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Readonly<Record<'dependencies' | 'optionalDependencies' | 'devDependencies', Readonly<Record<string, string>>>>;

/** In words, for a message that says what to do. */
const told = (breaches: ReturnType<typeof findBreaches>): readonly string[] => breaches.map(({ file, line, what, why }) => `${file}:${line} ${what}: ${why}`);

const plant = (file: string, text: string): readonly string[] => told(findBreaches(new Map([[file, text]])));

describe('architecture', () => {
  it('sees the sources', () => {
    expect([...sources.keys()].filter((file) => file.startsWith('daemon/')).length).toBeGreaterThan(20);
    expect([...sources.keys()].every(isProduct)).toBe(true);
  });

  it('holds in every file of the product', () => {
    expect(told(findBreaches(sources))).toEqual([]);
  });

  it('makes no exception that is not needed', () => {
    expect(EXCEPTIONS.filter(({ file, what }) => !usesOfWorld(sources.get(file) ?? '').includes(what))).toEqual([]);
  });

  it('lists every package of package.json that ships, and no other', () => {
    // koffi itself is there for its types; what runs are its libraries, each a package of its own.
    expect(PACKAGE_RULES.map(({ name }) => name).toSorted()).toEqual(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies, koffi: '' }).toSorted());
  });

  it.each([
    ['shared/a.ts', `import { x } from '../daemon/core/grant.ts';`, 'both ends'],
    ['shared/a.ts', `import type { X } from '../client/index.ts';`, 'both ends'],
    ['client/a.ts', `import type { Secret } from '../daemon/core/secret.ts';`, 'thin'],
    ['client/a.ts', `const x = await import('../daemon/core/secret.ts');`, 'thin'],
    ['client/a.ts', `export { x } from '../daemon/core/secret.ts';`, 'thin'],
    ['client/a.ts', `import 'fastify';`, 'transport'],
    ['daemon/core/a.ts', `import '../vault/file.ts';`, 'know no adapter'],
    ['daemon/core/a.ts', `type X = import('../issuer/http.ts').Y;`, 'know no adapter'],
    ['daemon/policy/a.ts', `import { x } from '../tokens/refresh.ts';`, 'pure'],
    ['daemon/tokens/a.ts', `import type { X } from '../issuer/http.ts';`, 'never adapters'],
    ['daemon/flows/a.ts', `export * from '../loopback/loopback.ts';`, 'never adapters'],
    ['daemon/workloads/a.ts', `import { Logins } from '../flows/logins.ts';`, 'knows no sign-in'],
    ['daemon/workloads/a.ts', `import { x } from '../federation/assertions.ts';`, 'never adapters'],
    ['daemon/federation/a.ts', `import { x } from '../vault/file.ts';`, 'never import each other'],
    ['daemon/tokens/a.ts', `import { x } from '../workloads/lane.ts';`, 'never adapters'],
    ['daemon/ipc/routes/a.ts', `import { x } from '../../vault/file.ts';`, 'imports no adapter'],
    ['daemon/issuer/a.ts', `import { x } from '../platform/clock.ts';`, 'never import each other'],
    ['daemon/callers/a.ts', `import { x } from '../platform/native.ts';`, 'never import each other'],
    ['daemon/config/presets/a.ts', `import { x } from '../../issuer/http.ts';`, 'never import each other'],
    ['daemon/vault/a.ts', `import { x } from '../edges.ts';`, 'composition root'],
    ['daemon/events.ts', `import { x } from './vault/file.ts';`, 'see all adapters'],
    ['daemon/main.ts', `import { x } from './vault/file.ts';`, 'see all adapters'],
    ['daemon/a.ts', `import { x } from '../client/index.ts';`, 'imports no client'],
    ['daemon/a.ts', `import { x } from '../demo/issuer.ts';`, 'imports no client'],
    ['daemon/flows/a.ts', `import * as client from 'openid-client';`, 'one place speaks OAuth'],
    ['daemon/flows/a.ts', `import * as client from 'openid-client/passport';`, 'one place speaks OAuth'],
    ['daemon/ipc/a.ts', `import { SignJWT } from 'jose';`, 'sealed'],
    ['daemon/vault/a.ts', `import koffi from 'koffi';`, 'one folder'],
    ['daemon/a.ts', `import ipc from 'node-ipc';`, 'decision record'],
    ['daemon/a.ts', `import { rm } from 'fs';`, 'node:'],
    ['daemon/a.ts', 'const x = await import(name);', 'read from the source'],
    ['daemon/a.ts', `const require = createRequire(import.meta.url); require('keytar');`, 'decision record'],
    ['daemon/a.ts', `const load = createRequire(here); load('koffi');`, 'one folder'],
    ['client/a.ts', `createRequire(here)('jose/jwt/verify');`, 'sealed'],
    ['daemon/a.ts', `import { x } from './lifecycle';`, 'extension'],
    ['daemon/tokens/a.ts', 'const now = Date.now();', 'Date.now'],
    ['daemon/tokens/a.ts', 'const now = new Date();', 'new Date()'],
    ['daemon/tokens/a.ts', 'const x = Math.random();', 'Math.random'],
    ['daemon/ipc/a.ts', `const x = process.env['HOME'];`, 'process.env'],
    ['daemon/ipc/a.ts', `import { env } from 'node:process';`, 'node:process'],
    ['daemon/issuer/a.ts', 'const x = await fetch(url);', 'global fetch'],
    ['daemon/issuer/a.ts', 'const x = await globalThis.fetch(url);', 'global fetch'],
    ['daemon/issuer/a.ts', 'const f = fetch;', 'global fetch'],
    ['daemon/tokens/a.ts', 'setTimeout(() => {}, 5);', 'global setTimeout'],
    ['daemon/flows/a.ts', 'log.info(secret.reveal());', 'reveal'],
    ['client/a.ts', `secret['reveal']();`, 'reveal'],
    ['daemon/ipc/routes/token.ts', 'const { reveal } = secret;', 'reveal'],
    ['client/a.ts', 'a;\n'.repeat(LINES_MAX + 1), 'more than one thing'],
    ['daemon/issuer/a.ts', `const method = 'plain';`, 'S256'],
    ['daemon/issuer/a.ts', `url.searchParams.set('response_type', 'code id_token');`, 'response type'],
    ['daemon/issuer/a.ts', `const p = { response_type: 'token' };`, 'response type'],
    ['daemon/issuer/a.ts', 'const u = `${base}?response_type=token&x=1`;', 'response type'],
    ['daemon/issuer/a.ts', `const p = { grant_type: 'password' };`, 'password grant'],
    ['client/a.ts', `const redirect = 'urn:ietf:wg:oauth:2.0:oob';`, 'pasted'],
  ])('sees a breach planted in %s: %s', (file, text, because) => {
    const breaches = plant(file, text);
    expect(breaches).toHaveLength(1);
    expect(breaches[0]).toContain(because);
  });

  it('sees a second importer of the keychain', () => {
    const text = `import { AsyncEntry } from '@napi-rs/keyring';`;
    expect(plant('daemon/vault/keychain.ts', text)).toEqual([]);
    expect(told(findBreaches(new Map([['daemon/vault/a.ts', text], ['daemon/vault/b.ts', text]])))).toHaveLength(1);
  });

  it.each([
    ['daemon/issuer/a.ts', `import * as client from 'openid-client';\nimport { fetch } from 'jose';\nawait fetch(url);\nsecret.reveal();`],
    ['daemon/platform/a.ts', `import koffi from 'koffi';\nDate.now();\nsetTimeout(() => {}, process.env['X']);`],
    ['daemon/tokens/a.ts', `import type { Clock } from '../core/ports.ts';\nimport { decide } from '../policy/decide.ts';\nnew Date(clock.now());\nissuer.fetch(x);\n// Date.now()\nconst text = 'Date.now()';`],
    ['daemon/ipc/app.ts', `reply.header('content-type', 'text/plain');\nconst o = { fetch: 1 };`],
    ['daemon/daemon.ts', `import { openVault } from './vault/open.ts';`],
    ['daemon/main.ts', `import './platform/sigusr1.ts';`],
    ['daemon/issuer/c.ts', `function make(fetch: CustomFetch) { return fetch; }`],
    ['daemon/issuer/d.ts', `const { fetch } = await import('openid-client');\nreturn { async fetch(url) { return fetch(url); } };`],
    ['daemon/issuer/e.ts', `const own = ['client_id', 'response_type', 'response_mode'];`],
    ['daemon/loopback/a.ts', `import { setTimeout as delay } from 'node:timers/promises';\nawait delay(5);`],
    ['daemon/issuer/b.ts', `const p = { response_type: 'code', grant_type: 'refresh_token' };`],
  ])('finds nothing wrong in what is allowed: %s', (file, text) => {
    expect(plant(file, text)).toEqual([]);
  });
});

describe('what is installed', () => {
  const entries = Object.entries(lock.packages).filter(([path]) => path !== '');
  const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const installed = entries.map(([path]) => nameOf(path));

  it('holds no package that was used for attacks or is abandoned', () => {
    expect(installed.length).toBeGreaterThan(50);
    expect(installed.filter((name) => ['node-ipc', '@achrinza/node-ipc', 'peacenotwar', 'js-queue', 'event-pubsub', 'keytar', '@github/keytar'].includes(name))).toEqual([]);
  });

  it('needs no install script', () => {
    // Of the development only: koffi has one that builds from source, and is here for its types.
    const named = ['koffi', 'fsevents'];
    expect(entries.filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => nameOf(path)).filter((name) => !named.includes(name))).toEqual([]);
    expect(readFileSync(join(ROOT, '.npmrc'), 'utf8')).toContain('save-exact=true');
  });

  it('is locked by hash, each package of it', () => {
    expect(entries.filter(([, entry]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? '')).map(([path]) => nameOf(path))).toEqual([]);
  });

  it('lists the binaries of every platform: npm ci refuses a lockfile that lacks one', () => {
    const missing = entries.flatMap(([path, entry]) => Object.keys(entry.optionalDependencies ?? {}).filter((name) => !installed.includes(name)).map((name) => `${nameOf(path)}: ${name}`));
    expect(missing).toEqual([]);
  });

  it('ships few packages, in exact versions', () => {
    // One binary of a native package is installed on each system; the others of its list are not counted.
    const shipped = entries.filter(([, entry]) => entry.dev !== true && entry.optional !== true);
    expect(shipped.length).toBeLessThanOrEqual(85);
    expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(15);
    for (const version of [...Object.values(manifest.dependencies), ...Object.values(manifest.optionalDependencies), ...Object.values(manifest.devDependencies)]) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
