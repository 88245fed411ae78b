/**
 * The compiled vault in a directory that every user may read, for processes that are killed, that
 * run as somebody else, or whose disk is full.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Names that every child has: a vault on `dir` under a fixed key, and grants by their generation. */
const PRELUDE = `
import { mkdirSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Secret } from './daemon/core/secret.js';
import { DataKey } from './daemon/vault/data-key.js';
import { FloorFile } from './daemon/vault/floor-file.js';
import { createFloors } from './daemon/vault/floors.js';
import { SealedStore } from './daemon/vault/sealed-store.js';
import { openVault } from './daemon/vault/open-vault.js';
let tokens = 0;
const log = { debug() {}, info() {}, warn() {}, error() {} };
const random = { token: () => process.pid + '-' + (tokens += 1), fraction: () => 0 };
const clock = { now: () => Date.now(), boottimeMs: () => performance.now(), sleep: (ms, signal) => wait(ms, undefined, { signal }) };
const openStore = async (dir) => {
  const run = dir + '-run';
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const floors = createFloors({ id: 'vault-1', keyedBy: { backend: 'passphrase' } }, new FloorFile(run, log), { keychain: null, clock, log, bootId: 'boot-1' });
  const store = new SealedStore(dir, 'vault-1', { log, random, floors });
  await store.adopt(new DataKey(Buffer.alloc(32, 7)), null);
  return store;
};
const grantOf = (n, filler = '') => ({
  profile: 'work', issuer: 'https://issuer.example', clientId: 'client-EXAMPLE', digest: 'digest-1', generation: n, server: {}, flow: 'authorization_code',
  scopes: [], resource: null, identity: null, signedInAt: 0, refreshedAt: null, rotates: null,
  state: { kind: 'active', refreshToken: new Secret('rt-' + n + '-EXAMPLE' + filler), tokens: [] },
});
`;

export type BuiltVault = {
  readonly dir: string;
  /** Starts the source with PRELUDE's names; arguments are process.argv[2] and on. */
  start(source: string, args: readonly string[], through?: readonly string[]): ChildProcess;
  remove(): void;
};

export function buildVault(): BuiltVault {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-built-')));
  chmodSync(dir, 0o755);
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: { composite: false, declaration: false, noCheck: true, types: [], rootDir: ROOT, outDir: dir },
    include: [join(ROOT, 'daemon/vault/*.ts')],
  }));
  const compiled = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir], { encoding: 'utf8' });
  if (!existsSync(join(dir, 'daemon/vault/sealed-store.js'))) throw new Error(`daemon/vault was not compiled: ${compiled.stdout}${compiled.stderr}`);
  mkdirSync(join(dir, 'node_modules'));
  for (const name of ['jose', '@napi-rs']) cpSync(join(ROOT, 'node_modules', name), join(dir, 'node_modules', name), { recursive: true, dereference: true });
  let scripts = 0;
  return {
    dir,
    start(source, args, through = []) {
      scripts += 1;
      const file = join(dir, `child-${scripts}.js`);
      writeFileSync(file, `${PRELUDE}\n${source}`);
      const [command = process.execPath, ...rest] = [...through, process.execPath, file, ...args];
      return spawn(command, rest, { cwd: dir, stdio: 'pipe' });
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
