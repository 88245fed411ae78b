/**
 * The compiled listener in a process of its own, in a directory that every user may read: which address can
 * be bound is a fact of a network namespace, and whose a connection is, one of a process.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { kill } from './built-platform.ts';
import { AUTHORIZE, ISSUER, STATE } from './loopback-rig.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** One line of the child. */
export type Told = Readonly<Record<string, unknown>> & { readonly event: string };

export type LoopbackChild = {
  readonly process: ChildProcess;
  /** The next line with this event; those before it are kept. */
  next(event: string): Promise<Told>;
  readonly told: readonly Told[];
};

export type LoopbackBuild = {
  /** @param wrap - the command that starts node, e.g. unshare or setpriv with its options. */
  start(wrap: readonly string[], options: { readonly ports?: readonly number[]; readonly lookup?: 'kernel' | 'off' }): LoopbackChild;
  remove(): Promise<void>;
};

const CHILD = `
import { createLoopback } from './daemon/loopback/loopback.js';
import { createRandom } from './daemon/platform/random.js';
import { ownerOf } from './daemon/platform/tcp-owner.js';
import { Secret } from './daemon/core/secret.js';

const { ports, lookup } = JSON.parse(process.argv[2]);
const say = (event, facts = {}) => console.log(JSON.stringify({ event, ...facts }));
const uid = process.getuid();
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const loopback = createLoopback({
  random: createRandom(), log: quiet,
  ownerOf: lookup === 'kernel' ? ownerOf : async () => uid,
  onRefused: (refused) => say('refused', refused),
});
try {
  const listener = await loopback.open({ ports, path: '/callback/issuer-a', uid });
  listener.arm(async () => ${JSON.stringify(AUTHORIZE)}, new Secret(${JSON.stringify(STATE)}), { issuer: ${JSON.stringify(ISSUER)}, required: true });
  listener.callback.then(
    ({ parameters }) => { say('callback', { code: parameters.get('code') }); listener.finish({ kind: 'success', subject: 'alice', profile: 'work', caller: 'git' }); },
    ({ code }) => say('failed', { code }),
  );
  say('open', { uid, port: listener.port, redirectUri: listener.redirectUri, startUrl: listener.startUrl });
} catch ({ code, message }) {
  say('failed', { code, message });
}
`;

export function buildLoopback(): LoopbackBuild {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-loopback-')));
  chmodSync(dir, 0o755);
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'child.js'), CHILD);
  // Types are checked elsewhere; here only the JavaScript counts.
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: { composite: false, declaration: false, noCheck: true, types: [], rootDir: ROOT, outDir: dir },
    files: ['loopback/loopback.ts', 'platform/random.ts', 'platform/tcp-owner.ts'].map((file) => join(ROOT, 'daemon', file)),
  }));
  const compiled = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir], { encoding: 'utf8' });
  if (compiled.status !== 0) throw new Error(`the listener was not compiled: ${compiled.stdout}${compiled.stderr}`);
  const started: ChildProcess[] = [];
  return {
    start(wrap, { ports = [], lookup = 'kernel' }) {
      const [command = process.execPath, ...args] = [...wrap, process.execPath, join(dir, 'child.js'), JSON.stringify({ ports, lookup })];
      const child = spawn(command, args, { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
      started.push(child);
      return listen(child);
    },
    async remove() {
      for (const child of started) await kill(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function listen(child: ChildProcess): LoopbackChild {
  const told: Told[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => { for (const check of waiting) check(); };
  if (child.stdout === null) throw new Error('the child has no stdout');
  createInterface(child.stdout).on('line', (line) => {
    told.push(JSON.parse(line) as Told);
    wake();
  });
  child.once('close', wake);
  let read = 0;
  return {
    process: child,
    told,
    next: (event) => new Promise((resolve, reject) => {
      const check = (): void => {
        const at = told.findIndex((line, index) => index >= read && line.event === event);
        const found = told[at];
        if (found !== undefined) {
          read = at + 1;
          resolve(found);
        } else if (child.exitCode !== null || child.signalCode !== null) {
          reject(new Error(`the child ended before it told "${event}": ${JSON.stringify(told)}`));
        } else return;
        waiting.delete(check);
      };
      waiting.add(check);
      check();
    }),
  };
}
